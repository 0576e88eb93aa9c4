"""The work that every contender gets: one hundred conditions, and a fleet's telemetry to judge by them.

The same conditions exist three times, made from one list: as Telltale's rules, as the Python `if`s that a
person would write for a stream processor without rules, and, over all records, as what must come out.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

__all__ = ["CONDITIONS", "SIGNALS", "Change", "Reading", "catalog_and_rules", "hand_written", "telemetry"]

SIGNALS = (
    "Vehicle.Speed",
    "Vehicle.Exterior.AirTemperature",
    "Vehicle.OBD.EngineLoad",
    "Vehicle.OBD.ThrottlePosition",
    "Vehicle.Chassis.Brake.PedalPosition",
    "Vehicle.Powertrain.CombustionEngine.TPS",
    "Vehicle.Powertrain.CombustionEngine.EngineCoolant.Temperature",
    "Vehicle.Powertrain.TractionBattery.StateOfCharge.Displayed",
    "Vehicle.Powertrain.TractionBattery.Temperature.Average",
    "Vehicle.Powertrain.TractionBattery.Temperature.Max",
)
COUNT = 100
LATENESS_MS = 200


class Condition(NamedTuple):
    """`signal` above `limit`, and, where there is one, `other` above `least`."""

    rule: str
    signal: int
    limit: float
    other: int | None
    least: float


class Reading(NamedTuple):
    """One record of vehicle.telemetry."""

    vehicle: str
    value: bytes
    received_at: int


class Change(NamedTuple):
    """One output: a rule began or ceased to hold for a vehicle, at the event time of the message."""

    vehicle: str
    rule: str
    state: str
    at: str


def _conditions() -> tuple[Condition, ...]:
    made = []
    for index in range(COUNT):
        signal = index % len(SIGNALS)
        # Every fourth looks at a second signal.
        other = (signal + 3) % len(SIGNALS) if index % 4 == 3 else None
        limit = 86.0 + (index // len(SIGNALS)) * 1.4
        made.append(Condition(f"rule-{index:03d}", signal, limit, other, 40.0))
    return tuple(made)


CONDITIONS = _conditions()


def catalog_and_rules() -> str:
    """The conditions as Telltale's documents."""
    lines = ["apiVersion: telltale.dev/v1alpha1", "kind: SignalCatalog", "metadata: {name: default}", "spec:"]
    lines += ["  timestamp: {path: ts, format: unixMillis}", "  signals:"]
    lines += [f"    {name}: {{type: double}}" for name in SIGNALS]
    for each in CONDITIONS:
        when = f"{SIGNALS[each.signal]} > {each.limit:.1f}"
        if each.other is not None:
            when += f" && {SIGNALS[each.other]} > {each.least:.1f}"
        lines += ["---", "apiVersion: telltale.dev/v1alpha1", "kind: AlertRule"]
        lines += [f"metadata: {{name: {each.rule}}}", f"spec: {{when: '{when}', severity: warning}}"]
    return "\n".join(lines) + "\n"


def hand_written() -> str:
    """The conditions as a module with one function: the names of the rules that hold for these values."""
    lines = ['"""One hundred conditions, as one would write them by hand."""', "", "", "def holding(known):"]
    lines += [f'    s{index} = known["{name}"]' for index, name in enumerate(SIGNALS)]
    lines += ["    found = set()"]
    for each in CONDITIONS:
        text = f"s{each.signal} > {each.limit:.1f}"
        if each.other is not None:
            text += f" and s{each.other} > {each.least:.1f}"
        lines += [f"    if {text}:", f'        found.add("{each.rule}")']
    return "\n".join([*lines, "    return found", ""])


def telemetry(records: int, vehicles: int, begin_ms: int) -> Iterator[tuple[Reading, list[Change]]]:
    """Readings in order of time, each with the changes that it must cause; the same ones at every call.

    They begin at `begin_ms`, which must be of late: Kafka deletes by the records' own times, and a topic
    full of last year's is empty a minute later.
    Each vehicle speaks once a second. Its signals wander and are drawn back to the middle, so that a
    message in a hundred or so changes what holds: alerts are rare, or nobody would read them.
    """
    choice = random.Random(3)
    uniform = choice.uniform
    namespace: dict[str, object] = {}
    exec(hand_written(), namespace)
    holding = namespace["holding"]
    assert callable(holding)
    values = [[uniform(40.0, 60.0) for _ in SIGNALS] for _ in range(vehicles)]
    firing: list[set[str]] = [set() for _ in range(vehicles)]
    for number in range(records):
        second, index = divmod(number, vehicles)
        state = values[index]
        for position, value in enumerate(state):
            state[position] = round(value + (50.0 - value) * 0.02 + uniform(-4.3, 4.3), 2)
        at = begin_ms + second * 1000 + index * 1000 // vehicles
        known = dict(zip(SIGNALS, state, strict=True))
        vehicle, instant = f"vehicle-{index:05d}", _rfc3339(at)
        value = orjson.dumps(
            {
                "vehicleId": vehicle,
                "ts": instant,
                "receivedAt": _rfc3339(at + LATENESS_MS),
                "sequence": second,
                "signals": known,
            }
        )
        now: set[str] = holding(known)
        before = firing[index]
        changes = []
        if now != before:
            changes = [Change(vehicle, rule, "firing", instant) for rule in now - before]
            changes += [Change(vehicle, rule, "resolved", instant) for rule in before - now]
            firing[index] = now
        yield Reading(vehicle, value, at + LATENESS_MS), changes


def _rfc3339(at: int) -> str:
    whole = datetime.fromtimestamp(at // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"
