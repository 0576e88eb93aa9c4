"""Laws of exceptions: rows do what writing them into the condition does; what is not known excepts nobody."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import AlertRecord, Source, compile_rules, parse
from rules.engine import AggregateRecord, AggregationEngine, Event, registration
from tests.engine.rulebook import Drive, document
from tests.engine.test_definitions import CATALOG, rules_of

COMPARISONS = ["==", "in", "<", "<=", ">", ">="]


def random_exceptions(choice: random.Random) -> list[dict[str, Any]]:
    """Some over numbers, some over texts, some over both."""
    found: list[dict[str, Any]] = []
    for index in range(choice.randint(1, 3)):
        fields = choice.sample(
            ["speed", "pressure", "gear", "vehicle.id", "speed + pressure"], choice.randint(1, 3)
        )
        comparisons = [
            choice.choice(["==", "in", "startsWith"] if _is_text(field) else COMPARISONS) for field in fields
        ]
        if choice.random() < 0.3:
            comparisons = ["==" for _ in fields]
        rows = [
            [
                _cell(choice, field, comparison == "in" and len(fields) > 1)
                for field, comparison in zip(fields, comparisons, strict=True)
            ]
            for _ in range(choice.randint(0, 4))
        ]
        values = [row[0] for row in rows] if len(fields) == 1 else rows
        each = {"name": f"e{index}", "fields": fields, "values": values}
        if comparisons != ["=="] * len(fields) or choice.random() < 0.5:
            each["comparisons"] = comparisons
        found.append(each)
    return found


def _is_text(field: str) -> bool:
    return field in ("gear", "vehicle.id")


def _cell(choice: random.Random, field: str, is_list: bool) -> Any:
    def value() -> Any:
        return choice.choice(["v1", "v2", "d", "d1"]) if _is_text(field) else choice.randint(0, 12)

    return [value() for _ in range(choice.randint(0, 6))] if is_list else value()


def by_hand(exceptions: list[dict[str, Any]]) -> str:
    """The condition that an author would write."""
    rows = ["false"]
    for each in exceptions:
        comparisons = each.get("comparisons", ["=="] * len(each["fields"]))
        for row in each["values"]:
            cells = row if len(each["fields"]) > 1 else [row]
            parts = [_written(*it) for it in zip(each["fields"], comparisons, cells, strict=True)]
            rows.append(f"({' && '.join(parts)})")
    return " || ".join(rows)


def _written(field: str, comparison: str, cell: Any) -> str:
    if comparison == "in":
        values = cell if isinstance(cell, list) else [cell]
        return "(" + " || ".join(["false", *(_written(field, "==", value) for value in values)]) + ")"
    value = f'"{cell}"' if isinstance(cell, str) else str(cell)
    return (
        f"{field}.{comparison}({value})" if comparison == "startsWith" else f"({field}) {comparison} {value}"
    )


def drives(choice: random.Random, rules: Any) -> list[Any]:
    """Two vehicles of which everything is known from the first message on."""
    found = []
    for vehicle_id in ("v1", "v2"):
        drive = Drive(rules, vehicle_id)
        found += drive.say(1, speed=5.0, pressure=5.0, gear="d")
        second = 1
        for _ in range(40):
            second += choice.choice([0, 1, 2, 30])
            names = choice.choice([["speed"], ["pressure"], ["gear"], ["speed", "pressure", "gear"]])
            said = {
                name: choice.choice(["d", "d1", "n"]) if name == "gear" else float(choice.randint(0, 9))
                for name in names
            }
            found += drive.say(second, **said)
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**40))
def test_rows_do_what_writing_them_into_the_condition_does(seed: int) -> None:
    choice = random.Random(seed)
    exceptions = random_exceptions(choice)
    spec = {"when": "speed > 4", "clearWhen": "speed < 2", "value": "speed"}
    excepted = by_hand(exceptions)
    plain = {
        "when": f"speed > 4 && !({excepted})",
        "clearWhen": f"speed < 2 || ({excepted})",
        "value": "speed",
    }
    ours = rules_of(document("AlertRule", "r", {**spec, "exceptions": exceptions}))
    theirs = rules_of(document("AlertRule", "r", plain))
    assert drives(random.Random(seed), ours) == drives(random.Random(seed), theirs)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**40))
def test_rows_of_adaptations_are_rows_of_the_rule(seed: int) -> None:
    choice = random.Random(seed)
    exceptions = random_exceptions(choice)
    spec = {"when": "speed > 4"}
    whole = rules_of(document("AlertRule", "r", {**spec, "exceptions": exceptions}))
    bare, first, second = [], {}, {}
    for each in exceptions:
        rows = list(each["values"])
        choice.shuffle(rows)
        bare.append({key: value for key, value in each.items() if key != "values"})
        cuts = sorted(choice.randint(0, len(rows)) for _ in range(2))
        if choice.random() < 0.5:
            bare[-1]["values"] = rows[: cuts[0]]
        else:
            cuts[0] = 0
        first[each["name"]], second[each["name"]] = rows[cuts[0] : cuts[1]], rows[cuts[1] :]
    parts = [
        document("Adaptation", name, {"rule": "r", "exceptions": rows})
        for name, rows in (("a", first), ("b", second))
    ]
    ours = rules_of(document("AlertRule", "r", {**spec, "exceptions": bare}), *parts, order=choice)
    assert drives(random.Random(seed), ours) == drives(random.Random(seed), whole)


def fires(rules: Any, vehicle_id: str = "v1", **signals: object) -> bool:
    return any(
        isinstance(it, AlertRecord) and it.state == "firing"
        for it in Drive(rules, vehicle_id).say(1, **signals)
    )


def test_what_is_not_known_excepts_nobody() -> None:
    exceptions = [
        {"name": "a", "fields": ["pressure"], "values": [3]},
        {"name": "b", "fields": ["pressure", "gear"], "comparisons": ["<", "=="], "values": [[2, "n"]]},
        {"name": "c", "fields": ["vehicle.labels.depot"], "values": ["x"]},
    ]
    rules = rules_of(document("AlertRule", "r", {"when": "speed > 4", "exceptions": exceptions}))
    assert fires(rules, speed=5.0)
    assert fires(rules, speed=5.0, pressure=1.0)
    assert not fires(rules, speed=5.0, pressure=3.0)
    assert not fires(rules, speed=5.0, pressure=1.0, gear="n")
    assert fires(rules, speed=5.0, pressure=1.0, gear="d")


def test_an_alert_of_what_becomes_an_exception_ends() -> None:
    exceptions = [{"name": "a", "fields": ["gear"], "values": ["p"]}]
    spec = {"when": "speed > 4", "clearWhen": "speed < 2", "exceptions": exceptions}
    drive = Drive(rules_of(document("AlertRule", "r", spec)))
    assert [it.state for it in drive.say(1, speed=5.0)] == ["firing"]
    assert [it.state for it in drive.say(2, gear="p")] == ["resolved"]


def test_exceptions_of_a_sequence_hold_for_each_of_its_messages() -> None:
    spec = {
        "within": "1m",
        "steps": [{"name": "a", "when": "speed > 4"}, {"name": "b", "when": "speed < 2"}],
        "exceptions": [{"name": "known", "fields": ["vehicle.id"], "values": ["v2"]}],
    }
    rules = rules_of(document("SequenceRule", "r", spec))
    found = {}
    for vehicle_id in ("v1", "v2"):
        drive = Drive(rules, vehicle_id)
        found[vehicle_id] = [*drive.say(1, speed=5.0), *drive.say(2, speed=1.0)]
    assert found["v1"]
    assert not found["v2"]


@pytest.mark.parametrize("vehicles", [None, 'vehicle.id != "v3"'])
def test_exceptions_of_a_silence_are_of_vehicles(vehicles: str | None) -> None:
    spec = {
        "absentFor": {"duration": "10s"},
        "exceptions": [{"name": "known", "fields": ["vehicle.id"], "values": ["v2"]}],
    }
    if vehicles is not None:
        spec["vehicles"] = vehicles
    rules = rules_of(document("AlertRule", "r", spec))
    told = {}
    for vehicle_id in ("v1", "v2", "v3"):
        drive = Drive(rules, vehicle_id)
        drive.say(1, speed=5.0)
        told[vehicle_id] = bool(drive.wait(100, 100))
    assert told == {"v1": True, "v2": False, "v3": vehicles is None}
    spec["exceptions"] = [{"name": "fast", "fields": ["speed"], "values": [5]}]
    found = compile_rules(parse([Source("c", CATALOG), Source("r", document("AlertRule", "r", spec))]))
    assert isinstance(found, list)
    assert [each.path for each in found] == ["spec.exceptions[0].fields[0]"]


def test_excepted_messages_do_not_count_in_an_aggregation() -> None:
    spec = {
        "window": {"tumbling": "1m"},
        "parameters": {"least": {"default": 2}, "most": {"default": 9}},
        "where": "speed > least",
        "aggregates": {"samples": "count()", "fastest": "max(speed + least - 2)"},
        "having": "fastest <= most",
        "exceptions": [
            {"name": "known", "fields": ["vehicle.id"], "values": ["v2"]},
            {"name": "parked", "fields": ["gear", "vehicle.labels.depot"], "values": [["p", "north"]]},
        ],
    }
    rules = rules_of(document("AggregationRule", "r", spec))
    assert rules.warnings == ()
    told = {}
    for vehicle_id in ("v1", "v2"):
        engine = AggregationEngine(rules)
        vehicle = engine.new_vehicle(vehicle_id, registration({"depot": "north"}, {}))
        out: list[Any] = []
        for second, (speed, gear) in enumerate([(5.0, "d"), (7.0, "p"), (6.0, "d"), (1.0, "d")]):
            signals = {"Vehicle.Speed": speed, "Vehicle.Gear": gear}
            engine.process(vehicle, Event(second * 1000, second * 1000, signals, None), 0, out)
        engine.process(vehicle, Event(100_000, 100_000, {}, None), 0, out)
        told[vehicle_id] = [it.values for it in out if isinstance(it, AggregateRecord)]
    assert told == {"v1": [{"samples": 2, "fastest": 6.0}], "v2": []}


def test_many_rows_are_a_set() -> None:
    rows = [[f"v{number}", number] for number in range(20_000)]
    exceptions = [{"name": "a", "fields": ["vehicle.id", "speed"], "values": rows}]
    rules = rules_of(document("AlertRule", "r", {"when": "speed > 4", "exceptions": exceptions}))
    (constant,) = (it for it in rules.rules[0].when.constants.values() if isinstance(it, frozenset))
    assert len(constant) == 20_000
    assert fires(rules, "v7", speed=8.0)
    assert not fires(rules, "v7", speed=7.0)
