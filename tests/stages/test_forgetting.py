"""Vehicles are forgotten because somebody asks, or because nothing was heard of them for long."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.stage import Output
from pipeline.stages.normalize import Normalize
from pipeline.stages.unseen import STEPS, Unseen
from tests.stages.partition import After, Record, headers_of, run, steps
from tests.stages.test_normalize import SHAPE, START, Message, new_normalize, raw
from tests.stages.test_registry import new_logic

TTL = 100_000
STEP = TTL // STEPS


def new_forgetful() -> Normalize:
    return Normalize(SHAPE, TTL)


def log_of(happened: list[tuple[str, Any]]) -> list[Record]:
    """`say` and `forget` name a vehicle, `tick` the time that has passed."""
    now, records = START, []
    for what, about in happened:
        now += about if what == "tick" else 1
        offset = len(records)
        match what:
            case "say":
                records.append(raw([Message(about, now, 0, {"seq": offset, "speed": 50})])[0])
            case "repeat":
                records.append(raw([Message(about, now, START - now, {"seq": 1})])[0])
            case "forget":
                records.append(Record("vehicle.raw", offset, now, about.encode(), None))
            case "tick":
                records.append(raw([now])[0])
    return [record._replace(offset=offset) for offset, record in enumerate(records)]


happenings = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("say", "repeat", "forget")), st.sampled_from(("v1", "v2", "v3"))),
        st.tuples(st.just("tick"), st.sampled_from((10, 900, 30_000, 70_000, TTL, 3 * TTL))),
    ),
    max_size=50,
)


def nulls(outputs: list[Output]) -> list[tuple[bytes | None, bytes, int | None]]:
    return [(out.key, dict(out.headers)["cause"], out.timestamp) for out in outputs if out.value is None]


@given(happenings, steps)
def test_batches_and_deaths_of_workers_change_nothing(happened, plan) -> None:
    log = log_of(happened)
    assert run(new_forgetful, log, plan) == run(new_forgetful, log)


@given(happenings)
def test_a_vehicle_is_forgotten_when_asked_and_when_unseen_for_its_time_to_live(happened) -> None:
    log = log_of(happened)
    found = nulls(run(new_forgetful, log).outputs)
    seen: dict[bytes, int] = {}
    for record in log:
        for vehicle, at in list(seen.items()):
            if record.timestamp >= at - at % STEP + STEP + TTL:
                assert (vehicle, b"unseen", record.timestamp) in found
                assert record.timestamp - at >= TTL
                found.remove((vehicle, b"unseen", record.timestamp))
                del seen[vehicle]
            else:
                assert record.timestamp - at <= TTL + 2 * STEP
        if record.key is None:
            continue
        if record.value is None:
            found.remove((record.key, b"asked", record.timestamp))
            seen.pop(record.key, None)
        else:
            seen[record.key] = record.timestamp
    assert found == []


@given(happenings)
def test_nothing_stays_of_vehicles_that_are_forgotten(happened) -> None:
    log = log_of([*happened, *(("forget", vehicle) for vehicle in ("v1", "v2", "v3"))])
    assert run(new_forgetful, log).state == {}
    assert run(new_forgetful, log, [(7, After.CHECKPOINT)] * 10).state == {}


def test_a_message_from_before_the_forgetting_is_taken_again() -> None:
    log = log_of([("repeat", "v1"), ("repeat", "v1"), ("forget", "v1"), ("repeat", "v1")])
    outputs = run(new_normalize, log).outputs
    assert [out.value is None for out in outputs] == [False, True, False]


@pytest.mark.parametrize("key", [b"\xff", b"v\0x", b"v" * 300, b""])
def test_a_null_for_what_is_no_vehicle_id_is_a_dead_letter(key) -> None:
    (dead,) = run(new_normalize, [Record("vehicle.raw", 0, START, key, None)]).outputs
    assert dead.topic == "vehicle.dead-letter"
    assert headers_of(dead)["code"] in ("vehicle-id-invalid", "vehicle-id-missing")


def test_without_a_time_to_live_nobody_is_forgotten_and_nothing_is_kept_of_when_they_were_seen() -> None:
    unseen = Unseen(0)
    unseen.see(b"v1", START)
    assert unseen.changes() == []
    assert unseen.gone(2**60) == []


def downstream(happened: list[tuple[str, Any]]) -> list[tuple[str, str, str | None]]:
    """What the rules say, of a vehicle of which the registry says that 40 km/h are too fast."""
    telemetry = [
        Record("vehicle.telemetry", offset, out.timestamp or 0, out.key, out.value, out.headers)
        for offset, out in enumerate(run(new_forgetful, log_of(happened)).outputs)
    ]
    known = Record("vehicle.registry", 0, START, b"v1", b'{"attributes": {"limit": 40}}')
    outputs = run(new_logic, [known, *telemetry]).outputs
    told = [json.loads(out.value or b"") for out in outputs if out.topic == "vehicle.alerts"]
    return [(it["rule"], it["state"], it["reason"]) for it in told if it["rule"] == "fast"]


FAST = [("say", "v1"), ("say", "v1")]


def test_an_unseen_vehicle_resolves_its_alerts_and_keeps_what_the_registry_says() -> None:
    again = [("fast", "firing", None), ("fast", "resolved", "forgotten"), ("fast", "firing", None)]
    assert downstream([*FAST, ("tick", 2 * TTL), *FAST]) == again
    assert downstream([*FAST, ("forget", "v1"), *FAST]) == again[:2]
