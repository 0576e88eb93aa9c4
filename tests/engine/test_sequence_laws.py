"""Laws of sequences, over random rules and random telemetry: late, repeated, silent, cut and restarted."""

import random
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules import Source, compile_rules, parse
from rules.engine import AlertRecord, Engine, Event, Outcome, RuleFailure, RuleSet, Signal
from rules.engine.ruleset import Pattern, Telling
from rules.engine.sequences import MOST_PARTIALS
from tests.engine.logs import QUIET_AFTER, SEEDS, SIGNALS, Run, compiled, logs, restarts
from tests.engine.model import Entry, Hours
from tests.engine.rulebook import document
from tests.engine.sequence_model import CONDITIONS, SequenceModel, StepModel, Told, told_by


def _sequence(choice: random.Random) -> SequenceModel:
    size = choice.choice([1, 2, 2, 3, 3, 4])
    steps: list[StepModel] = []
    for index in range(size):
        name, condition = f"s{index}", choice.choice(list(CONDITIONS))
        if index and choice.random() < 0.35:
            hold = choice.choice([None, 1, 3, 6]) if index < size - 1 else choice.choice([1, 3, 6])
            steps.append(StepModel(name, condition, is_not=True, hold=hold))
            continue
        least = choice.choice([1, 1, 1, 2])
        most = least + choice.choice([0, 0, 1, 2])
        within = choice.choice([None, None, 2, 5]) if index or most > 1 else None
        steps.append(StepModel(name, condition, within=within, least=least, most=most))
    takes = [index for index, step in enumerate(steps) if not step.is_not]
    return SequenceModel(
        tuple(steps),
        within=choice.choice([2, 5, 9, 15]) + sum(step.hold or 0 for step in steps),
        contiguity=choice.choice(["strict", "relaxed", "relaxed", "relaxedAny"]),
        skip=choice.choice(["pastLastEvent", "noSkip", "toNext", "toFirst", "toLast"]),
        target=choice.choice(takes),
        cooldown=choice.choice([0, 0, 0, 4]),
        timeouts=choice.random() < 0.5,
        schedule=choice.choice([None, None, Hours(20, 4, 17), Hours(9, 0, 7), Hours(60, 10, 40)]),
    )


def sequences() -> st.SearchStrategy[SequenceModel]:
    return SEEDS.map(lambda seed: _sequence(random.Random(seed)))


def pattern(model: SequenceModel, name: str = "seq") -> Pattern:
    """A model's rule through documents and compiler: milliseconds there are milliseconds here."""
    steps: list[dict[str, Any]] = []
    for step in model.steps:
        spec: dict[str, Any] = {"name": step.name, "not" if step.is_not else "when": step.condition}
        if step.is_not:
            spec |= {} if step.hold is None else {"for": f"{step.hold}ms"}
        else:
            spec["times"] = {"min": step.least, "max": step.most}
            spec |= {} if step.within is None else {"within": f"{step.within}ms"}
        steps.append(spec)
    skip: object = model.skip
    if model.skip in ("toFirst", "toLast"):
        skip = {model.skip: model.steps[model.target].name}
    spec = {
        "steps": steps,
        "within": f"{model.within}ms",
        "contiguity": model.contiguity,
        "skip": skip,
        "cooldown": f"{model.cooldown}ms",
    }
    if model.timeouts:
        spec["onTimeout"] = {}
    catalog = {"timestamp": {"path": "ts"}, "signals": {signal: {} for signal in SIGNALS}}
    texts = [document("SignalCatalog", "c", catalog), document("SequenceRule", name, spec)]
    found = compile_rules(parse([Source("x.yaml", "\n---\n".join(texts))]))
    assert isinstance(found, RuleSet), [each.format() for each in found]
    return replace(found.sequences[0], schedule=model.schedule)


def engine_for(model: SequenceModel, **options: Any) -> Engine:
    signals = {name: Signal(name, 100_000) for name in SIGNALS}
    return Engine(RuleSet(signals, (), sequences=(pattern(model),)), quiet_after_ms=QUIET_AFTER, **options)


def told(out: list[Outcome]) -> list[Told]:
    """What the firing records say; each is followed by its resolve."""
    records = [it for it in out if isinstance(it, AlertRecord)]
    for fired, resolved in zip(records[::2], records[1::2], strict=True):
        assert (fired.state, resolved.state, resolved.id) == ("firing", "resolved", fired.id)
        assert fired.fired_at == resolved.ends_at
    found = []
    for record in records[::2]:
        assert record.sequence is not None
        facts = record.sequence
        found.append(Told(facts.is_match, record.starts_at, record.fired_at, facts.steps))
    return found


@settings(max_examples=600, deadline=None)
@given(sequences(), logs(), st.integers(8, 22))
def test_engine_says_what_trying_every_way_says(
    model: SequenceModel, entries: list[Entry], length: int
) -> None:
    out = Run(engine_for(model)).all(entries[:length])
    assume(not any(isinstance(it, RuleFailure) for it in out))
    assert told(out) == told_by(model, entries[:length], QUIET_AFTER)


@settings(max_examples=200, deadline=None)
@given(sequences(), logs(), st.integers(0, 2**32))
def test_a_restart_at_any_point_changes_nothing(
    model: SequenceModel, entries: list[Entry], seed: int
) -> None:
    engine = engine_for(model)
    steady, restarted = Run(engine), Run(engine)
    is_restart = restarts(seed, 0.3)
    kept: dict[str, bytes] = {}
    for entry in entries:
        assert restarted.step(entry) == steady.step(entry)
        if is_restart():
            for part, packed in restarted.engine.changed(restarted.vehicle).items():
                if packed is None:
                    kept.pop(part, None)
                else:
                    kept[part] = packed
            assert kept == engine.snapshot(steady.vehicle)
            restarted = Run(engine_for(model))
            restarted.vehicle = restarted.engine.restore("v1", kept)
            assert restarted.vehicle == steady.vehicle
            deadline = restarted.engine.next_deadline(restarted.vehicle)
            assert restarted.engine.deadline_of(kept) == deadline == engine.next_deadline(steady.vehicle)


@settings(max_examples=100, deadline=None)
@given(sequences(), logs())
def test_generated_code_says_what_the_plain_way_says(model: SequenceModel, entries: list[Entry]) -> None:
    plain = Run(engine_for(model, familiar_after=10**9)).all(entries)
    assert Run(engine_for(model, familiar_after=0)).all(entries) == plain


@settings(max_examples=100, deadline=None)
@given(sequences(), logs())
def test_asking_more_often_for_timers_changes_nothing(model: SequenceModel, entries: list[Entry]) -> None:
    prompt, eager = Run(engine_for(model)), Run(engine_for(model))
    for entry in entries:
        assert prompt.step(entry) == eager.step(entry)
        again: list[Outcome] = []
        eager.engine.advance(eager.vehicle, entry.live, entry.received_at, again)
        assert again == []


@settings(max_examples=100, deadline=None)
@given(sequences(), logs())
def test_ids_tell_every_record_apart_and_are_the_same_each_time(
    model: SequenceModel, entries: list[Entry]
) -> None:
    first = [it.record_id for it in Run(engine_for(model)).all(entries) if isinstance(it, AlertRecord)]
    again = [it.record_id for it in Run(engine_for(model)).all(entries) if isinstance(it, AlertRecord)]
    assert first == again
    assert len(set(first)) == len(first)


@settings(max_examples=100, deadline=None)
@given(sequences(), logs(), st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(
    model: SequenceModel, entries: list[Entry], choice: random.Random
) -> None:
    signals = {name: Signal(name, 100_000) for name in SIGNALS}
    patterns = [pattern(model, "one"), pattern(_sequence(choice), "two"), pattern(_sequence(choice), "three")]
    expected = Run(Engine(RuleSet(signals, (), sequences=tuple(patterns)))).all(entries)
    choice.shuffle(patterns)
    assert Run(Engine(RuleSet(signals, (), sequences=tuple(patterns)))).all(entries) == expected


def test_the_logs_reach_every_way_a_sequence_can_go() -> None:
    seen: set[object] = set()

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(sequences(), logs())
    def explore(model: SequenceModel, entries: list[Entry]) -> None:
        for record in Run(engine_for(model)).all(entries):
            if isinstance(record, AlertRecord) and record.sequence is not None:
                ways = (model.contiguity, model.skip, model.cooldown > 0)
                seen.update((way, record.sequence.is_match) for way in ways)
                seen.add((record.sequence.is_match, record.by))

    explore()
    for way in (
        "strict",
        "relaxed",
        "relaxedAny",
        "pastLastEvent",
        "noSkip",
        "toNext",
        "toFirst",
        "toLast",
        True,
    ):
        assert {(way, True), (way, False)} <= seen
    assert {(True, None), (True, "silence"), (False, None), (False, "silence")} <= seen


def test_a_vehicle_has_at_most_64_partial_matches_and_drops_are_counted() -> None:
    steps = (StepModel("a", "a > 5.0"), StepModel("b", "b > 5.0"))
    run = Run(engine_for(SequenceModel(steps, within=1_000_000, skip="noSkip")))
    for at in range(1000):
        run.engine.process(run.vehicle, Event(at, at, {"a": 9.0}), 0, run.out)
    assert len(run.vehicle.sequences[0].partials) == MOST_PARTIALS
    assert sum(isinstance(it, RuleFailure) for it in run.out) == len(run.out) == 1000 - MOST_PARTIALS
    run.out.clear()
    run.engine.process(run.vehicle, Event(1000, 1000, {"b": 9.0}), 0, run.out)
    assert [it.starts_at for it in told(run.out)] == list(range(1000 - MOST_PARTIALS, 1000))


def test_a_step_a_thousand_times_in_every_combination_stays_small() -> None:
    steps = (StepModel("a", "a > 5.0", least=1, most=1000), StepModel("b", "b > 5.0"))
    model = SequenceModel(steps, within=1_000_000, skip="noSkip", contiguity="relaxedAny", timeouts=True)
    run = Run(engine_for(model))
    for at in range(500):
        run.engine.process(run.vehicle, Event(at, at, {"a": 9.0}), 0, run.out)
    run.out.clear()
    run.engine.process(run.vehicle, Event(500, 500, {"b": 9.0}), 0, run.out)
    assert len(run.out) <= 4 * MOST_PARTIALS
    assert len(run.engine.snapshot(run.vehicle)["sequence/seq"]) < 5_000


def test_a_thousand_messages_of_one_step() -> None:
    steps = (StepModel("b", "b > 5.0"), StepModel("a", "a > 5.0", least=1000, most=1000))
    run = Run(engine_for(SequenceModel(steps, within=1_000_000)))
    run.engine.process(run.vehicle, Event(0, 0, {"b": 9.0, "a": 0.0}), 0, run.out)
    for at in range(1, 1001):
        run.engine.process(run.vehicle, Event(at, at, {"a": 9.0, "b": 0.0}), 0, run.out)
    assert told(run.out) == [Told(True, 0, 1000, (("b", 0, 0), ("a", 1, 1000)))]


def test_state_of_another_version_of_the_rule_begins_anew() -> None:
    steps = (StepModel("a", "a > 5.0"), StepModel("b", "b > 5.0"))
    run = Run(engine_for(SequenceModel(steps, within=100)))
    run.engine.process(run.vehicle, Event(0, 0, {"a": 9.0}), 0, run.out)
    parts = run.engine.snapshot(run.vehicle)
    assert run.engine.restore("v1", parts).sequences
    edited = engine_for(SequenceModel(steps, within=101))
    assert not edited.restore("v1", parts).sequences


def test_telling_has_no_value_by_itself() -> None:
    condition = compiled("a > 5.0")
    plan = pattern(SequenceModel((StepModel("a", "a > 5.0"),), within=5)).plan
    made = Pattern("seq", (("a", condition),), plan, Telling("info"))
    engine = Engine(RuleSet({"a": Signal("a")}, (), sequences=(made,)))
    out: list[Outcome] = []
    engine.process(engine.new_vehicle("v1"), Event(0, 0, {"a": 9.0}), 0, out)
    assert [(it.severity, it.value) for it in out if isinstance(it, AlertRecord)] == [("info", None)] * 2
