"""Laws of what the registry says, at random points of random telemetry."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import AlertRecord
from tests.engine.logs import QUIET_AFTER, engine_for, logs, records, restarts
from tests.engine.model import Entry, RuleModel
from tests.engine.registry_model import (
    RegisteredRun,
    RegisteredVehicle,
    rules_on_facts,
    said,
    with_registry,
)

STALE_AFTER = st.sampled_from([6, 12, 100_000])
SEEDS = st.integers(0, 2**32)


@settings(max_examples=300, deadline=None)
@given(rules_on_facts(), logs(), STALE_AFTER, SEEDS)
def test_engine_says_what_the_plain_model_says(
    rules: list[RuleModel], entries: list[Entry], stale_after: int, seed: int
) -> None:
    run = RegisteredRun(engine_for(rules, stale_after, familiar_after=seed % 3))
    model = RegisteredVehicle(rules, stale_after, QUIET_AFTER)
    for number, entry in enumerate(with_registry(entries, seed)):
        assert records(run.step(entry)) == model.step(entry), f"entry {number}: {entry}"


@settings(max_examples=100, deadline=None)
@given(rules_on_facts(), logs(), STALE_AFTER, SEEDS)
def test_a_restart_at_any_point_changes_nothing(
    rules: list[RuleModel], entries: list[Entry], stale_after: int, seed: int
) -> None:
    engine = engine_for(rules, stale_after)
    steady, restarted = RegisteredRun(engine), RegisteredRun(engine)
    is_checkpoint = restarts(seed, 0.4)
    kept: dict[str, bytes] = {}
    for entry in with_registry(entries, seed):
        assert restarted.step(entry) == steady.step(entry)
        if not is_checkpoint():
            continue
        for part, packed in engine.changed(restarted.vehicle).items():
            if packed is None:
                kept.pop(part, None)
            else:
                kept[part] = packed
        assert kept == engine.snapshot(steady.vehicle)
        facts = restarted.facts
        restarted = RegisteredRun(engine_for(rules, stale_after))
        restarted.facts = facts
        restarted.vehicle = restarted.engine.restore("v1", kept, said(facts))
        assert restarted.vehicle == steady.vehicle
        deadline = restarted.engine.next_deadline(restarted.vehicle)
        assert restarted.engine.deadline_of(kept) == deadline == engine.next_deadline(steady.vehicle)


@settings(max_examples=80, deadline=None)
@given(rules_on_facts(), logs(), STALE_AFTER, SEEDS)
def test_rules_do_not_depend_on_each_other_nor_on_their_order(
    rules: list[RuleModel], entries: list[Entry], stale_after: int, seed: int
) -> None:
    log = with_registry(entries, seed)
    together = records(RegisteredRun(engine_for(rules, stale_after)).all(log))
    shuffled = list(rules)
    random.Random(seed).shuffle(shuffled)
    assert records(RegisteredRun(engine_for(shuffled, stale_after)).all(log)) == together
    for rule in rules:
        alone = records(RegisteredRun(engine_for([rule], stale_after)).all(log))
        assert alone == [record for record in together if record.rule == rule.name]


@settings(max_examples=80, deadline=None)
@given(rules_on_facts(), logs(), STALE_AFTER, SEEDS)
def test_what_the_registry_said_before_does_not_count(
    rules: list[RuleModel], entries: list[Entry], stale_after: int, seed: int
) -> None:
    """Said twice is said once."""
    once = with_registry(entries, seed)
    twice = [entry for entry in once for _ in range(1 + hasattr(entry, "facts"))]
    engine = engine_for(rules, stale_after)
    assert RegisteredRun(engine).all(once) == RegisteredRun(engine).all(twice)


@settings(max_examples=80, deadline=None)
@given(rules_on_facts(), logs(), STALE_AFTER, SEEDS)
def test_ids_tell_every_record_apart(
    rules: list[RuleModel], entries: list[Entry], stale_after: int, seed: int
) -> None:
    out = RegisteredRun(engine_for(rules, stale_after)).all(with_registry(entries, seed, forgets=False))
    ids = [it.record_id for it in out if isinstance(it, AlertRecord)]
    assert len(ids) == len(set(ids))
    firing: set[str] = set()
    for it in out:
        if isinstance(it, AlertRecord):
            (firing.add if it.state == "firing" else firing.discard)(it.id)
            assert len(firing) <= len(rules)
