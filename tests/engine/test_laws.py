"""Laws of the fold, over random rules and random telemetry: late, repeated, silent, cut and restarted."""

import contextlib
import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import AlertRecord, Event, Outcome, RuleFailure, StateFormatError
from tests.engine.logs import (
    QUIET_AFTER,
    Run,
    engine_for,
    logs,
    records,
    restarts,
    rule_lists,
    rule_models,
)
from tests.engine.model import (
    CHANGED,
    OVER_WINDOWS,
    WHENS,
    Entry,
    Message,
    Record,
    RuleModel,
    Tick,
    VehicleModel,
)

STALE_AFTER = st.sampled_from([4, 6, 12, 100_000])


@settings(max_examples=600, deadline=None)
@given(rule_lists(), logs(), STALE_AFTER)
def test_engine_says_what_the_plain_model_says(
    rules: list[RuleModel], entries: list[Entry], stale_after: int
) -> None:
    run = Run(engine_for(rules, stale_after))
    model = VehicleModel(rules, stale_after, QUIET_AFTER)
    for number, entry in enumerate(entries):
        assert records(run.step(entry)) == model.step(entry), f"entry {number}: {entry}"
    assert run.engine.event_time(run.vehicle) == model.time
    assert run.engine.last_known(run.vehicle) == {
        name: taken[-1][1] for name, taken in model.samples.items() if taken and _is_read(name, rules)
    }


def _is_read(name: str, rules: list[RuleModel]) -> bool:
    return any(name in rule.when.reads | rule.beside for rule in rules)


@settings(max_examples=150, deadline=None)
@given(rule_lists(), logs(), STALE_AFTER, st.integers(0, 2**32))
def test_a_restart_at_any_point_changes_nothing(
    rules: list[RuleModel], entries: list[Entry], stale_after: int, seed: int
) -> None:
    engine = engine_for(rules, stale_after)
    steady, restarted = Run(engine), Run(engine)
    is_restart = restarts(seed, 0.3)
    for entry in entries:
        assert restarted.step(entry) == steady.step(entry)
        if is_restart():
            parts = engine.snapshot(restarted.vehicle)
            restarted = Run(engine_for(rules, stale_after))
            restarted.vehicle = restarted.engine.restore("v1", parts)
            assert restarted.vehicle == steady.vehicle
            assert restarted.engine.snapshot(restarted.vehicle) == parts
            deadline = restarted.engine.next_deadline(restarted.vehicle)
            assert restarted.engine.deadline_of(parts) == deadline == engine.next_deadline(steady.vehicle)


@settings(max_examples=150, deadline=None)
@given(rule_lists(), logs(), STALE_AFTER, st.integers(0, 2**32))
def test_what_changed_adds_up_to_the_whole_state(
    rules: list[RuleModel], entries: list[Entry], stale_after: int, seed: int
) -> None:
    run, whole = Run(engine_for(rules, stale_after)), Run(engine_for(rules, stale_after))
    is_checkpoint = restarts(seed, 0.4)
    kept: dict[str, bytes] = {}
    for entry in entries:
        assert run.step(entry) == whole.step(entry)
        if is_checkpoint():
            for part, packed in run.engine.changed(run.vehicle).items():
                if packed is None:
                    kept.pop(part, None)
                else:
                    kept[part] = packed
            assert kept == whole.engine.snapshot(whole.vehicle)
            assert run.engine.changed(run.vehicle) == {}
            run.vehicle = run.engine.restore("v1", kept)


@settings(max_examples=100, deadline=None)
@given(rule_lists(), logs(), STALE_AFTER, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(
    rules: list[RuleModel], entries: list[Entry], stale_after: int, choice: random.Random
) -> None:
    expected = Run(engine_for(rules, stale_after)).all(entries)
    shuffled = list(rules)
    choice.shuffle(shuffled)
    assert Run(engine_for(shuffled, stale_after)).all(entries) == expected


@settings(max_examples=100, deadline=None)
@given(rule_lists(), logs(), STALE_AFTER)
def test_a_rule_does_not_depend_on_the_others(
    rules: list[RuleModel], entries: list[Entry], stale_after: int
) -> None:
    together = records(Run(engine_for(rules, stale_after)).all(entries))
    for rule in rules:
        alone = records(Run(engine_for([rule], stale_after)).all(entries))
        assert alone == [record for record in together if record.rule == rule.name]


@settings(max_examples=150, deadline=None)
@given(rule_lists(), logs(), STALE_AFTER)
def test_generated_code_says_what_the_plain_way_says(
    rules: list[RuleModel], entries: list[Entry], stale_after: int
) -> None:
    plain = Run(engine_for(rules, stale_after, familiar_after=10**9))
    generated = Run(engine_for(rules, stale_after, familiar_after=0))
    for entry in entries:
        assert plain.step(entry) == generated.step(entry)
        assert plain.vehicle == generated.vehicle


@settings(max_examples=100, deadline=None)
@given(rule_lists(), logs(), STALE_AFTER, st.integers(0, 2**32))
def test_asking_more_often_for_timers_changes_nothing(
    rules: list[RuleModel], entries: list[Entry], stale_after: int, seed: int
) -> None:
    prompt, eager = Run(engine_for(rules, stale_after)), Run(engine_for(rules, stale_after))
    for entry in entries:
        assert prompt.step(entry) == eager.step(entry)
        for _ in range(2):
            again: list[Outcome] = []
            eager.engine.advance(eager.vehicle, entry.live, entry.received_at, again)
            assert again == []
        assert prompt.vehicle.alerts == eager.vehicle.alerts


@settings(max_examples=150, deadline=None)
@given(rule_models(), logs(ticks=False), st.lists(st.integers(1, 30), min_size=40, max_size=40), STALE_AFTER)
def test_late_equals_live_where_no_timer_was_due_in_the_gap(
    rule: RuleModel, entries: list[Entry], delays: list[int], stale_after: int
) -> None:
    live, delayed = Run(engine_for([rule], stale_after)), Run(engine_for([rule], stale_after))
    late_by = clock = 0
    for entry, delay in zip(entries, delays, strict=False):
        assert isinstance(entry, Message)
        told = live.step(entry)
        late_by += delay
        clock += delay
        deadline = delayed.engine.next_deadline(delayed.vehicle)
        tick = Tick(entry.received_at + late_by, clock)
        if deadline is not None and deadline < clock:
            return  # a timer is due in the gap: the law says nothing
        assert delayed.step(tick) == []
        late = Message(entry.ts, entry.received_at + late_by, entry.signals, clock)
        assert timeless(delayed.step(late)) == timeless(told)


def timeless(out: Sequence[Outcome]) -> list[Record]:
    return [replace(record, received_at=0) for record in records(out)]


@settings(max_examples=100, deadline=None)
@given(rule_lists(), logs(), STALE_AFTER)
def test_ids_tell_every_record_apart_and_are_the_same_each_time(
    rules: list[RuleModel], entries: list[Entry], stale_after: int
) -> None:
    first = [it for it in Run(engine_for(rules, stale_after)).all(entries) if isinstance(it, AlertRecord)]
    again = [it for it in Run(engine_for(rules, stale_after)).all(entries) if isinstance(it, AlertRecord)]
    assert [it.record_id for it in first] == [it.record_id for it in again]
    assert len({it.record_id for it in first}) == len(first)
    starts = {(it.rule, it.id): it.starts_at for it in first}
    assert all(starts[it.rule, it.id] == it.starts_at for it in first)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@settings(max_examples=200, deadline=None)
@given(
    rule_lists(),
    st.lists(
        st.tuples(
            st.integers(-(10**15), 10**15),
            st.dictionaries(st.one_of(st.sampled_from("abc"), st.text(max_size=5)), VALUES, max_size=4),
            st.integers(0, 100),
        ),
        max_size=15,
    ),
    st.integers(0, 2),
)
def test_no_exception_ever_escapes(
    rules: list[RuleModel], events: list[tuple[int, dict[str, object], int]], familiar_after: int
) -> None:
    rules = [replace(rule, schedule=None) for rule in rules]  # of short days there are too many in an era
    engine = engine_for(rules, 10, familiar_after=familiar_after)
    vehicle = engine.new_vehicle("v1")
    out: list[Outcome] = []
    live = 0
    for ts, signals, passed in events:
        live += passed
        engine.process(vehicle, Event(ts, ts, signals), live, out)
        engine.advance(vehicle, live + passed, ts, out)
    assert all(isinstance(it, AlertRecord | RuleFailure) for it in out)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["values", "rule/rule-0", "other"]), st.binary(max_size=40)),
    st.booleans(),
)
def test_bytes_that_are_no_state_are_refused_as_such(parts: dict[str, bytes], is_versioned: bool) -> None:
    engine = engine_for([RuleModel("rule-0", WHENS[0])], 10)
    if is_versioned:
        parts = {part: b"\x01" + packed for part, packed in parts.items()}
    with contextlib.suppress(StateFormatError):
        engine.restore("v1", parts)
    with contextlib.suppress(StateFormatError):
        engine.deadline_of(parts)


def test_the_logs_reach_every_way_an_alert_can_go() -> None:
    seen: set[object] = set()

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(rule_lists(), logs(), STALE_AFTER)
    def explore(rules: list[RuleModel], entries: list[Entry], stale_after: int) -> None:
        told = records(Run(engine_for(rules, stale_after)).all(entries))
        for record in told:
            seen.update([(record.state, record.by), record.reason, record.severity])
            rule = next(rule for rule in rules if rule.name == record.rule)
            seen.update(["for"] if rule.hold else [], ["within"] if rule.within else [], [rule.when.text])

    explore()
    assert seen >= {
        ("firing", None),
        ("firing", "silence"),
        ("resolved", None),
        ("resolved", "silence"),
        "cleared",
        "stale",
        "corrected",
        "critical",
        "for",
        "within",
        *(when.text for when in (*WHENS, *OVER_WINDOWS)),
        CHANGED.text,
    }
