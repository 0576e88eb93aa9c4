"""Laws of rules about silence: late and out of order, uplinks away, restarts, ticks of all sizes."""

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import AlertRecord, Engine, Outcome, RuleSet, Signal
from rules.engine.registration import NOTHING
from rules.engine.ruleset import Absence
from tests.engine.absence_model import SilenceModel, SilenceRule, Told
from tests.engine.logs import QUIET_AFTER, SEEDS, SIGNALS, Run, engine_for, restarts, rule_lists, running
from tests.engine.model import Entry, Message, RuleModel, Tick

AWAY = 500


def silences() -> st.SearchStrategy[list[SilenceRule]]:
    """One to four rules."""

    def made(seed: int, count: int) -> list[SilenceRule]:
        choice = random.Random(seed)
        return [
            SilenceRule(
                name=f"silent-{index}",
                signals=choice.choice(["", "", "a", "b", "ab", "c"]),
                duration=choice.choice([5, 9, 20]),
                keep=choice.choice([0, 0, 4, 12, 25]),
                cooldown=choice.choice([0, 0, 7, 40]),
            )
            for index in range(count)
        ]

    return st.builds(made, SEEDS, st.integers(1, 4))


def logs(*, away: bool = True, jitter: bool = True) -> st.SearchStrategy[list[Entry]]:
    """Messages and ticks; some late, some received out of order, some while the uplinks were away."""

    def made(seed: int, length: int) -> list[Entry]:
        choice = random.Random(seed)
        time, received, live = 1000, 5000, 0
        entries: list[Entry] = []
        for _ in range(length):
            kind = choice.choice(["message"] * 5 + ["tick"] * 5 + ["away"] * away)
            if kind == "message":
                time += choice.choice([0, 1, 3, 8])
                received += choice.randint(0, 1)
                ts = time - choice.choice([0, 0, 0, 6])
                at = received + (choice.choice([0, 0, 1, 3, -2, -30]) if jitter else 0)
                names = choice.choice(["a", "b", "c", "ab", ""])
                entries.append(Message(ts, at, dict.fromkeys(names, 1.0), live))
                continue
            passed = choice.choice([1, 2, 5, 13])
            received += AWAY if kind == "away" else passed
            live += 1 if kind == "away" else passed
            entries.append(Tick(received, live))
        return entries

    return st.builds(made, SEEDS, st.integers(30, 100))


def engine_of(rules: Sequence[SilenceRule], others: Sequence[RuleModel] = ()) -> Engine:
    absences = tuple(
        Absence(rule.name, frozenset(rule.signals), rule.duration, rule.keep, rule.cooldown) for rule in rules
    )
    signals = {name: Signal(name, 20) for name in SIGNALS}
    rule_set = RuleSet(signals, tuple(running(rule) for rule in others), absences=absences)
    return Engine(rule_set, quiet_after_ms=QUIET_AFTER)


def told(out: Sequence[Outcome]) -> list[Told]:
    return [
        (it.rule, it.state, it.starts_at, it.fired_at, it.ends_at, it.reason, it.by, it.received_at)
        for it in out
        if isinstance(it, AlertRecord) and it.rule.startswith("silent")
    ]


def registered(engine: Engine, run: Run, received: int, live: int) -> None:
    """The registry has a record of the vehicle, which says nothing about it."""
    engine.register(run.vehicle, NOTHING, live, received, run.out)


@settings(max_examples=400, deadline=None)
@given(silences(), logs(), st.booleans())
def test_engine_says_what_the_plain_model_says(
    rules: list[SilenceRule], entries: list[Entry], is_registered: bool
) -> None:
    run = Run(engine_of(rules))
    models = [SilenceModel(rule) for rule in rules]
    if is_registered:
        registered(run.engine, run, 4990, 0)
        for model in models:
            model.register(4990, 0)
    for number, entry in enumerate(entries):
        expected = [line for model in models for line in model.step(entry)]
        assert sorted(told(run.step(entry))) == sorted(expected), f"entry {number}: {entry}"


@settings(max_examples=150, deadline=None)
@given(silences(), rule_lists(), logs(), st.integers(0, 2**32), st.booleans())
def test_a_restart_at_any_point_changes_nothing(
    rules: list[SilenceRule], others: list[RuleModel], entries: list[Entry], seed: int, is_registered: bool
) -> None:
    engine = engine_of(rules, others)
    steady, restarted = Run(engine), Run(engine)
    if is_registered:
        registered(engine, steady, 4990, 0)
        registered(engine, restarted, 4990, 0)
    is_restart, is_checkpoint = restarts(seed, 0.3), restarts(seed + 1, 0.4)
    kept: dict[str, bytes] = {}
    for entry in entries:
        assert restarted.step(entry) == steady.step(entry)
        if is_checkpoint():
            for part, packed in engine.changed(steady.vehicle).items():
                kept.pop(part, None) if packed is None else kept.update({part: packed})
            assert kept == engine.snapshot(steady.vehicle)
        if is_restart():
            parts = engine.snapshot(restarted.vehicle)
            restarted.vehicle = engine.restore("v1", parts)
            assert restarted.vehicle == steady.vehicle
            assert engine.snapshot(restarted.vehicle) == parts
            deadline = engine.next_deadline(steady.vehicle)
            assert engine.next_deadline(restarted.vehicle) == deadline
            assert parts == {} or engine.deadline_of(parts) == deadline


@settings(max_examples=100, deadline=None)
@given(silences(), rule_lists(), logs())
def test_a_rule_does_not_depend_on_the_others_nor_on_their_order(
    rules: list[SilenceRule], others: list[RuleModel], entries: list[Entry]
) -> None:
    together = Run(engine_of(rules, others)).all(entries)
    assert Run(engine_of(rules[::-1], others[::-1])).all(entries) == together
    for rule in rules:
        alone = told(Run(engine_of([rule])).all(entries))
        assert alone == [line for line in told(together) if line[0] == rule.name]
    by_event_time = [it for it in together if isinstance(it, AlertRecord) and it.rule.startswith("rule")]
    without = Run(engine_for(others, 20)).all(entries)
    assert by_event_time == [it for it in without if isinstance(it, AlertRecord)]


@settings(max_examples=100, deadline=None)
@given(silences(), logs(), st.integers(0, 2**32))
def test_more_ticks_tell_the_same_sooner(rules: list[SilenceRule], entries: list[Entry], seed: int) -> None:
    choice = random.Random(seed)
    cut: list[Entry] = []
    live = received = 0
    for entry in entries:
        received = max(received, entry.received_at)
        if isinstance(entry, Tick):
            passed = entry.live - live
            steps = sorted(choice.sample(range(1, passed), choice.randint(0, passed - 1)))
            cut += [Tick(entry.received_at - passed + step, live + step) for step in steps]
            live = entry.live
        cut.append(entry)

    def dates(log: Sequence[Entry]) -> list[tuple[object, ...]]:
        return sorted(line[:-1] for line in told(Run(engine_of(rules)).all(log)))

    assert dates(cut) == dates(entries)


@settings(max_examples=100, deadline=None)
@given(silences(), logs(away=False, jitter=False), st.integers(0, 2**32))
def test_while_the_uplink_is_away_nobody_falls_silent(
    rules: list[SilenceRule], entries: list[Entry], seed: int
) -> None:
    """Only the dates after the gap are later by it: who was silent is the same."""
    at = random.Random(seed).randrange(len(entries))
    before, after = entries[:at], entries[at:]
    shifted: list[Entry] = [
        Tick(it.received_at + AWAY, it.live)
        if isinstance(it, Tick)
        else Message(it.ts, it.received_at + AWAY, it.signals, it.live)
        for it in after
    ]

    def who(log: Sequence[Entry]) -> list[tuple[object, ...]]:
        return [(line[0], line[1], line[5], line[6]) for line in told(Run(engine_of(rules)).all(log))]

    def seen(log: Sequence[Entry]) -> list[tuple[object, ...]]:
        # What a message finds over its duration by a tick's fraction is told a little sooner or later.
        return sorted(who(log))

    assert seen([*before, *shifted]) == seen(entries)


@settings(max_examples=100, deadline=None)
@given(silences(), logs())
def test_ids_tell_every_record_apart_and_no_alert_begins_before_the_last_one_ended(
    rules: list[SilenceRule], entries: list[Entry]
) -> None:
    out = [it for it in Run(engine_of(rules)).all(entries) if isinstance(it, AlertRecord)]
    assert len({it.record_id for it in out}) == len(out)
    for rule in rules:
        last = 0
        for record in (it for it in out if it.rule == rule.name):
            assert last <= record.starts_at <= record.fired_at
            last = record.ends_at or last


def test_the_logs_reach_every_way_a_silence_can_go() -> None:
    seen: set[object] = set()

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(silences(), logs())
    def explore(rules: list[SilenceRule], entries: list[Entry]) -> None:
        for _, state, _, fired, _, reason, by, received in told(Run(engine_of(rules)).all(entries)):
            seen.update([(state, reason, by), "late" if received - fired > AWAY / 2 else "soon"])

    explore()
    assert seen >= {
        ("firing", None, "silence"),
        ("resolved", "cleared", None),
        ("resolved", "cleared", "silence"),
        ("resolved", "corrected", None),
        "soon",
    }
