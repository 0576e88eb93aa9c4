"""Laws of windows of one vehicle, over random rules and random telemetry: late, silent, cut and restarted."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import AggregateRecord, AggregationEngine, Event, LateRecord, RuleSet, Signal
from rules.engine.aggregation.vehicle import VehicleWindows
from rules.engine.aggregation.windows import Fixed, Hopping, Session, Sliding, Tumbling
from rules.engine.ruleset import Aggregation, Alarm, Measure, Telling
from rules.language import BOOL, DOUBLE, Compiled, Environment
from tests.engine.aggregation_model import ARGUMENTS, WHERES, AggregationModel, MeasureModel, Model, Told
from tests.engine.logs import ENVIRONMENT, QUIET_AFTER, SEEDS, SIGNALS, compiled, logs, restarts
from tests.engine.model import Entry, Message

STALE_AFTER = 9
CORRECTED_AFTER = 3
FUNCTIONS = ("sum", "avg", "min", "max", "stddev", "percentile", "distinct", "first", "last", "count")


def _model(choice: random.Random) -> AggregationModel:
    kind = choice.choice(["tumbling", "tumbling", "hopping", "hopping", "session", "sliding"])
    size = choice.choice([3, 5, 8, 12])
    every = choice.choice([it for it in (1, 2, 3, 4, 5, 8) if it <= size]) if kind == "hopping" else 0
    first = choice.choice([MeasureModel("samples", "count"), MeasureModel("samples", "count", "a")])
    measures = [first]
    for index in range(choice.choice([0, 1, 2, 3])):
        function = choice.choice(FUNCTIONS)
        percent = choice.choice([0.0, 50.0, 95.0, 100.0])
        measures.append(MeasureModel(f"m{index}", function, choice.choice(list(ARGUMENTS)), percent))
    if choice.random() < 0.3:
        measures.append(MeasureModel("grown", "increase", choice.choice(["a", "b"])))
    return AggregationModel(
        window=(kind, size, every),
        measures=tuple(measures),
        where=choice.choice([None, None, *WHERES]),
        least_samples=choice.choice([None, None, 1, 2]),
        lateness=0 if kind in ("session", "sliding") else choice.choice([0, 0, 4, 9]),
        emit="onClose" if kind == "sliding" else choice.choice(["onClose", "onClose", "onUpdate", "every"]),
        every=choice.choice([2, 5]),
        alarmed=choice.random() < 0.5,
    )


def models() -> st.SearchStrategy[AggregationModel]:
    return SEEDS.map(lambda seed: _model(random.Random(seed)))


def _argument(measure: MeasureModel) -> Compiled | None:
    if measure.argument is None:
        return None
    if measure.function == "increase":
        counter = measure.argument
        return compiled(f"delta({counter}) < 0.0 ? {counter} : delta({counter})")
    return compiled(measure.argument)


def aggregation(model: AggregationModel, name: str = "rule") -> Aggregation:
    kind, size, every = model.window
    window: Fixed | Session | Sliding = Tumbling(size)
    if kind == "hopping":
        window = Hopping(size, every)
    elif kind == "session":
        window = Session(size)
    elif kind == "sliding":
        window = Sliding(size)
    having = None
    if model.least_samples is not None:
        names = dict.fromkeys((measure.name for measure in model.measures), DOUBLE)
        having = Environment({}, locals=names).compile(f"samples > {model.least_samples}", BOOL)
        assert isinstance(having, Compiled)
    names = dict.fromkeys((measure.name for measure in model.measures), DOUBLE)
    environment = Environment({}, locals=names)
    when, value = environment.compile("samples > 1", BOOL), environment.compile("samples")
    assert isinstance(when, Compiled)
    assert isinstance(value, Compiled)
    alarm = Alarm(name, when, Telling("warning"), value) if model.alarmed else None
    return Aggregation(
        alarm=alarm,
        name=name,
        window=window,
        measures=tuple(Measure(it.name, it.function, _argument(it), it.percent) for it in model.measures),
        where=None if model.where is None else compiled(model.where),
        having=having,
        lateness_ms=model.lateness,
        emit=model.emit,
        every_ms=model.every,
    )


def engine_for(*rules: Aggregation) -> AggregationEngine:
    signals = {name: Signal(name, STALE_AFTER) for name in SIGNALS}
    return AggregationEngine(
        RuleSet(signals, (), aggregations=rules),
        quiet_after_ms=QUIET_AFTER,
        corrected_after_ms=CORRECTED_AFTER,
    )


class Run:
    """An engine and one vehicle, driven as a stage drives them."""

    def __init__(self, engine: AggregationEngine) -> None:
        self.engine = engine
        self.vehicle: VehicleWindows = engine.new_vehicle("v1")
        self.out: list[Any] = []

    def step(self, entry: Entry) -> list[Any]:
        before = len(self.out)
        if isinstance(entry, Message):
            event = Event(entry.ts, entry.received_at, entry.signals)
            self.engine.process(self.vehicle, event, entry.live, self.out)
        else:
            deadline = self.engine.next_deadline(self.vehicle)
            if deadline is not None and deadline < entry.live:
                self.engine.advance(self.vehicle, entry.live, entry.received_at, self.out)
        return self.out[before:]

    def all(self, entries: list[Entry]) -> list[Any]:
        for entry in entries:
            self.step(entry)
        return self.out


def told(out: list[Any]) -> list[Told]:
    return [
        Told(it.window_start, it.window_end, dict(it.values), it.final, it.update, it.by)
        for it in out
        if isinstance(it, AggregateRecord)
    ]


def same(found: list[Told], expected: list[Told], model: AggregationModel) -> None:
    """Equal, percentiles within their error."""
    near = {measure.name for measure in model.measures if measure.function == "percentile"}

    def rounded(record: Told) -> Told:
        values = {name: value for name, value in record.values.items() if name not in near}
        return record._replace(values=values)

    assert [rounded(it) for it in found] == [rounded(it) for it in expected]
    for one, other in zip(found, expected, strict=True):
        for name in near:
            assert one.values[name] == (
                None if other.values[name] is None else pytest.approx(other.values[name], rel=1 / 256)
            )


@settings(max_examples=500, deadline=None)
@given(models(), logs())
def test_windows_say_what_all_samples_say(model: AggregationModel, entries: list[Entry]) -> None:
    plain = Model(model, STALE_AFTER, QUIET_AFTER, CORRECTED_AFTER)
    run = Run(engine_for(aggregation(model)))
    for entry in entries:
        plain.step(entry)
        run.step(entry)
    same(told(run.out), plain.told, model)
    assert [it.ts for it in run.out if isinstance(it, LateRecord)] == plain.late
    others = [it for it in run.out if not isinstance(it, AggregateRecord | LateRecord)]
    assert [(it.state, it.starts_at, it.fired_at, it.ends_at, it.value) for it in others] == plain.alerts


@settings(max_examples=200, deadline=None)
@given(models(), logs(), st.integers(0, 2**32))
def test_a_restart_at_any_point_changes_nothing(
    model: AggregationModel, entries: list[Entry], seed: int
) -> None:
    engine = engine_for(aggregation(model))
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
            restarted = Run(engine_for(aggregation(model)))
            restarted.vehicle = restarted.engine.restore("v1", kept)
            assert restarted.engine.snapshot(restarted.vehicle) == kept
            deadline = restarted.engine.next_deadline(restarted.vehicle)
            assert restarted.engine.deadline_of(kept) == deadline == engine.next_deadline(steady.vehicle)


@settings(max_examples=100, deadline=None)
@given(models(), logs())
def test_asking_more_often_for_what_is_due_changes_nothing(
    model: AggregationModel, entries: list[Entry]
) -> None:
    prompt, eager = Run(engine_for(aggregation(model))), Run(engine_for(aggregation(model)))
    for entry in entries:
        assert prompt.step(entry) == eager.step(entry)
        if isinstance(entry, Message) and entry.ts < prompt.vehicle.time:
            continue  # what a late message makes due is told at the next tick
        again: list[Any] = []
        eager.engine.advance(eager.vehicle, entry.live, entry.received_at, again)
        assert again == []


@settings(max_examples=100, deadline=None)
@given(st.lists(models(), min_size=2, max_size=4), logs(), st.randoms(use_true_random=False))
def test_rules_do_not_concern_each_other(
    several: list[AggregationModel], entries: list[Entry], choice: random.Random
) -> None:
    rules = [aggregation(model, f"rule-{index}") for index, model in enumerate(several)]
    together = Run(engine_for(*rules)).all(entries)
    for rule in rules:
        alone = Run(engine_for(rule)).all(entries)
        assert [it for it in together if it.rule == rule.name] == alone
    choice.shuffle(rules)
    assert Run(engine_for(*rules)).all(entries) == together


@settings(max_examples=200, deadline=None)
@given(models(), logs())
def test_a_window_is_told_of_with_rising_updates_and_once_as_final(
    model: AggregationModel, entries: list[Entry]
) -> None:
    out = Run(engine_for(aggregation(model))).all(entries)
    late = {it.record_id: it for it in out if isinstance(it, LateRecord)}
    assert all(late[it.record_id] == it for it in out if isinstance(it, LateRecord))
    told_of = [it.record_id for it in out if isinstance(it, AggregateRecord)]
    assert len(set(told_of)) == len(told_of)
    updates: Counter[str] = Counter()
    final: set[str] = set()
    for record in out:
        if isinstance(record, AggregateRecord):
            assert record.update == updates[record.id]
            assert record.id not in final
            updates[record.id] += 1
            if record.final:
                final.add(record.id)


@settings(max_examples=200, deadline=None)
@given(models(), logs(ticks=False), st.randoms(use_true_random=False))
def test_in_the_end_messages_in_time_say_the_same_in_any_order(
    model: AggregationModel, entries: list[Entry], choice: random.Random
) -> None:
    """With lateness enough, what each window ends with does not depend on the order of arrival."""
    kind, size, every = model.window
    measures = tuple(
        it for it in model.measures if it.function != "increase" and it.argument in ("a", "b", None)
    )
    rule = AggregationModel(
        ("tumbling" if kind in ("session", "sliding") else kind, size, every),
        measures,
        lateness=100_000,
        emit=model.emit,
        every=4,
    )
    once = {(it.ts, tuple(it.signals)): it for it in entries if isinstance(it, Message)}
    one = list({it.ts: it for it in once.values()}.values())
    other = choice.sample(one, len(one))
    end = Message(1_000_000, 1_000_000, {"c": 1.0}, 0)

    def ends(messages: list[Any]) -> dict[str, Any]:
        out = Run(engine_for(aggregation(rule))).all([*messages, end])
        return {it.id: it.values for it in out if isinstance(it, AggregateRecord) and it.final}

    assert ends(sorted(one, key=lambda it: it.ts)) == ends(other)


def test_the_environment_of_the_laws_has_the_signals() -> None:
    assert isinstance(ENVIRONMENT.compile("a + b + c"), Compiled)
