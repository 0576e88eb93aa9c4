"""Lines on which a promise hangs, each with the mistake that a tired person would make in it.

`original` is one whole line, as it stands in its file and only once; `mutated` takes its place. `tests` are
those that must fail then: the quickest that can. A line that was moved or rewritten fails test_mutants.py, so
that the list cannot rot.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One mistake."""

    promise: str
    file: str
    original: str
    mutated: str
    tests: tuple[str, ...]


ENGINE = "tests/engine/test_engine.py"
CASES = "tests/engine/test_conformance.py"
OUTCOMES = "tests/engine/test_outcomes.py"
LAWS = "tests/engine/test_laws.py"
SILENCES = "tests/engine/test_absence_laws.py"
SCHEDULES = "tests/engine/test_schedules.py"
FENCE_CASES = "tests/engine/test_fence_conformance.py"
FENCE_EDITS = "tests/engine/test_fence_laws.py"
PLACES = "tests/engine/test_places.py"
REGISTRY = "tests/engine/test_registry.py"
REGISTRY_LAWS = "tests/engine/test_registry_laws.py"
REGISTRY_STAGE = "tests/stages/test_registry.py"
FORGETTING = "tests/stages/test_forgetting.py"
LIVE = "tests/stages/test_live.py"
LIVE_GROUPS = "tests/stages/test_live_groups.py"
ROLLOUTS = "tests/stages/test_rollouts.py"
OTHER_ROLLOUTS = "tests/stages/test_rollouts_of_other_rules.py"
SMALL_LAWS = "tests/runtime/test_small_laws.py"
PARTITION = "tests/runtime/test_partition.py"
KAFKA_PARTS = "tests/runtime/test_kafka_parts.py"
ON_KAFKA = "tests/runtime/test_on_kafka.py::test_a_stage_commits_restores_and_ends_in_good_order"

# ruff: noqa: E501  (a line of 110 stands here within quotes)
MUTANTS = (
    # -- the engine ----------------------------------------------------------------------------------------
    Mutant(
        "an event exactly at the end of `for` fires",
        "rules/engine/alerts.py",
        "    if held < rule.for_ms or not _enough(alert, rule, seen.at):",
        "    if held <= rule.for_ms or not _enough(alert, rule, seen.at):",
        (CASES,),
    ),
    Mutant(
        "a silence is not told before its date",
        "rules/engine/absences.py",
        "    if over >= now.live or least >= now.received:",
        "    if over >= now.live:",
        (SILENCES,),
    ),
    Mutant(
        "who was received before a silence fired was not silent",
        "rules/engine/absences.py",
        "    if now.received <= alert.fired_at:",
        "    if now.received < alert.fired_at:",
        (SILENCES,),
    ),
    Mutant(
        "who is silent again while keepFiringFor runs goes on firing",
        "rules/engine/absences.py",
        "        if silent <= kept:",
        "        if silent < kept:",
        (SILENCES,),
    ),
    Mutant(
        "a registered vehicle is silent from the first that was said of it",
        "rules/engine/watcher.py",
        "            self.select(vehicle, min(vehicle.heard.values(), default=Heard(now.received, now.live)))",
        "            self.select(vehicle, Heard(now.received, now.live))",
        ("tests/stages/test_absence.py",),
    ),
    Mutant(
        "a schedule is closed at its end",
        "rules/engine/schedules.py",
        "            self._state = bisect_right(self._bounds(at // DAY_MS), at) % 2 == 1",
        "            self._state = bisect_left(self._bounds(at // DAY_MS), at) % 2 == 1",
        (SCHEDULES,),
    ),
    Mutant(
        "a firing alert ends with its schedule, whatever clears it",
        "rules/engine/observers.py",
        "            if not rule.is_open(seen.at):",
        "            if not rule.is_open(seen.at) and rule.clear_when is None:",
        (CASES,),
    ),
    Mutant(
        "a second message of one instant is not late",
        "rules/engine/engine.py",
        "        if ts < vehicle.time:",
        "        if ts <= vehicle.time:",
        (CASES,),
    ),
    Mutant(
        "silence counts from quietAfter on",
        "rules/engine/engine.py",
        "        return vehicle.time + max(0, live_clock - vehicle.live - self._quiet_after)",
        "        return vehicle.time + max(0, live_clock - vehicle.live + self._quiet_after)",
        (LAWS,),
    ),
    Mutant(
        "an event at the end of a hold comes before its timer",
        "rules/engine/observers.py",
        "            if due >= limit:",
        "            if due > limit:",
        (ENGINE,),
    ),
    Mutant(
        "a cooldown is over at its end",
        "rules/engine/alerts.py",
        "            if alert.ended_at is not None and start < alert.ended_at + rule.cooldown_ms:",
        "            if alert.ended_at is not None and start <= alert.ended_at + rule.cooldown_ms:",
        (CASES,),
    ),
    Mutant(
        "data of the instant at which silence fired can correct it",
        "rules/engine/alerts.py",
        "        case Phase.FIRING, False | None if"
        " alert.by_silence and seen.is_message and seen.at <= alert.fired_at:",
        "        case Phase.FIRING, False | None if"
        " alert.by_silence and seen.is_message and seen.at < alert.fired_at:",
        (CASES,),
    ),
    Mutant(
        "an alert ends when keepFiringFor is over, not after",
        "rules/engine/alerts.py",
        "            if seen.at - alert.clear_since >= rule.keep_ms:",
        "            if seen.at - alert.clear_since > rule.keep_ms:",
        (CASES,),
    ),
    Mutant(
        "the window of forEvents is open at its beginning",
        "rules/engine/alerts.py",
        "    return sum(at - rule.within_ms < hit <= at for hit in alert.hits) >= rule.count",
        "    return sum(at - rule.within_ms <= hit <= at for hit in alert.hits) >= rule.count",
        (CASES,),
    ),
    Mutant(
        "the peak of what must not be low is its least value",
        "rules/engine/observers.py",
        "            if peak is None or (value < peak if rule.rule.lowest else value > peak):",
        "            if peak is None or (value > peak if rule.rule.lowest else value < peak):",
        (OUTCOMES,),
    ),
    Mutant(
        "severity rises and never falls",
        "rules/engine/observers.py",
        "                if rung < alert.rung:",
        "                if rung != alert.rung:",
        (OUTCOMES,),
    ),
    Mutant(
        "a command's age counts from what it is about, not from the message that told",
        "rules/engine/reports.py",
        "            if cause.received_at - occasion.at > action.max_age_ms:",
        "            if cause.received_at - vehicle.time > action.max_age_ms:",
        (OUTCOMES,),
    ),
    # -- geofences -----------------------------------------------------------------------------------------
    Mutant(
        "a fix exactly at the end of enterAfter confirms",
        "rules/engine/visits.py",
        "            if at - visit.since < times.enter_after_ms:",
        "            if at - visit.since <= times.enter_after_ms:",
        (FENCE_CASES,),
    ),
    Mutant(
        "without a fix an entry is confirmed when the last one is stale, not before",
        "rules/engine/visits.py",
        "    return max(held, fix_at + times.stale_after_ms)",
        "    return held",
        (FENCE_CASES,),
    ),
    Mutant(
        "(0, 0) is no position",
        "rules/engine/places.py",
        "    return position if position is not None and is_place(position[0], position[1]) else None",
        "    return position",
        (PLACES,),
    ),
    Mutant(
        "a fence that is new where the vehicle is was not entered",
        "rules/engine/geofences.py",
        "                if before is None or shape.covers(before.position[0], before.position[1]):",
        "                if before is None:",
        (FENCE_EDITS,),
    ),
    Mutant(
        "an edit of a fence brings about no action",
        "rules/engine/fence_reports.py",
        "        if happening.reason in UNMOVED:",
        '        if happening.reason == "forgotten":',
        (FENCE_EDITS,),
    ),
    # -- the runtime ---------------------------------------------------------------------------------------
    Mutant(
        "the chain rule: a batch that begins further on is not taken",
        "pipeline/runtime/batches.py",
        "    return Verdict.ACCEPT if batch.start == standing else Verdict.GAP",
        "    return Verdict.ACCEPT if batch.start >= standing else Verdict.GAP",
        (SMALL_LAWS,),
    ),
    Mutant(
        "the marker is believed, not the group's offsets",
        "pipeline/runtime/takeover.py",
        "        positions = _positions(shared, partition, marker, spans, where)",
        "        positions = await _first_positions(shared, partition, spans, where)",
        (PARTITION,),
    ),
    Mutant(
        "nobody is fenced before the group has confirmed this worker",
        "pipeline/runtime/takeover.py",
        "    await _confirm(shared, generation)",
        "    assert generation >= 0",
        (PARTITION,),
    ),
    Mutant(
        "and nothing is read before it has done so again",
        "pipeline/runtime/takeover.py",
        "        await _confirm(shared, generation)",
        "        assert generation >= 0",
        (PARTITION,),
    ),
    Mutant(
        "a batch that Kafka refused aborts the whole transaction",
        "pipeline/runtime/transactions.py",
        "            delivered = await asyncio.gather(*waiting)",
        "            delivered = await asyncio.gather(*waiting, return_exceptions=True)",
        (KAFKA_PARTS,),
    ),
    Mutant(
        "two failures at one place blame no record",
        "pipeline/runtime/suspicion.py",
        "        return self._strikes >= STRIKES",
        "        return self._strikes > STRIKES - 2",
        (PARTITION, SMALL_LAWS),
    ),
    Mutant(
        "a record that cannot be used is a dead letter",
        "pipeline/runtime/session.py",
        "                self.out.append(dead_letter(record, self.shared.stage.name, *why, most_bytes=limit))",
        "                self.processed[topic] += 1",
        (PARTITION,),
    ),
    Mutant(
        "a record on a partition that is not its key's is noticed",
        "pipeline/runtime/session.py",
        "            wrong = {key for key in unknown if key is not None and self._home(key) != self.partition}",
        "            wrong = {key for key in unknown if key is not None and self._home(key) < self.partition}",
        (PARTITION,),
    ),
    # -- the registry, and forgetting ----------------------------------------------------------------------
    Mutant(
        "the registry's deselected vehicle has no alert any more",
        "rules/engine/observers.py",
        "        for index in bits(ended & (1 << len(self._rules)) - 1):",
        "        for index in bits(ended & 0):",
        (REGISTRY,),
    ),
    Mutant(
        "what the registry changes is judged at once",
        "rules/engine/engine.py",
        "        touched = program.enabled & ~was.enabled | _readers(program, differing)",
        "        touched = program.enabled & ~was.enabled",
        (REGISTRY,),
    ),
    Mutant(
        "whom the registry makes selected is judged at once",
        "rules/engine/engine.py",
        "        touched = program.enabled & ~was.enabled | _readers(program, differing)",
        "        touched = _readers(program, differing)",
        (REGISTRY,),
    ),
    Mutant(
        "timers that were due before the registry spoke fire first",
        "rules/engine/engine.py",
        "        self.advance(vehicle, now.live, now.received, out)",
        "        assert now.live >= 0",
        (REGISTRY,),
    ),
    Mutant(
        "a timer that the registry armed is in the state",
        "rules/engine/engine.py",
        "        vehicle.values_changed = True  # timers may be due earlier than before",
        "        assert at >= vehicle.time",
        (REGISTRY,),
    ),
    Mutant(
        "what the registry ends while it is pending has no record",
        "rules/engine/alerts.py",
        "    was_firing = alert.phase is Phase.FIRING",
        "    was_firing = alert.phase is not Phase.RESTING",
        (REGISTRY, REGISTRY_LAWS),
    ),
    Mutant(
        "an attribute of another type than the registry's is unknown",
        "rules/engine/registration.py",
        "            found.update(dict.fromkeys(_keys(ATTRIBUTES, name, _TYPES[type(value)]), value))",
        "            found.update(dict.fromkeys(_keys(ATTRIBUTES, name, DOUBLE), value))",
        (REGISTRY,),
    ),
    Mutant(
        "two records of the registry and of telemetry forget a vehicle once",
        "pipeline/stages/folding.py",
        "            if vehicle_id in self._registered:",
        "            if self._is_known(vehicle_id):",
        (REGISTRY_STAGE,),
    ),
    Mutant(
        "what the registry says after the forgetting stays",
        "pipeline/stages/folding.py",
        "        elif known.at > record.timestamp:",
        "        elif known.at < record.timestamp:",
        (REGISTRY_STAGE,),
    ),
    Mutant(
        "no vehicle of the registry is forgotten before its time",
        "pipeline/stages/unseen.py",
        "        return step + self._step + self._ttl",
        "        return step + self._ttl",
        (FORGETTING,),
    ),
    Mutant(
        "the registry is read to its end before telemetry begins",
        "pipeline/runtime/partition.py",
        "            if self._awaits_until is None or name in self._shared.stage.first:",
        "            if name in self._shared.inputs:",
        (PARTITION,),
    ),
    Mutant(
        "what was never committed is not read",
        "pipeline/runtime/transport.py",
        '            isolation_level="read_committed",',
        '            isolation_level="read_uncommitted",',
        (ON_KAFKA,),
    ),
    # -- rules that change while they run ------------------------------------------------------------------
    Mutant(
        "half of the partitions commit at a time",
        "pipeline/runtime/pacing.py",
        "        if len(self._inside) < max(1, len(self._members) // 2):",
        "        if len(self._inside) <= max(1, len(self._members) // 2):",
        (PARTITION,),
    ),
    Mutant(
        "whoever is silent goes over to the new rules, too",
        "pipeline/stages/folding.py",
        "        for vehicle_id in migration.next(_MIGRATED_TOGETHER):",
        "        for vehicle_id in migration.next(0):",
        (LIVE,),
    ),
    Mutant(
        "a rule that began anew does not go on with its old state",
        "pipeline/stages/versions.py",
        "    return frozenset(name for name, lineage in before.lineages.items() if new.get(name) != lineage)",
        "    return frozenset(name for name, lineage in before.lineages.items() if name not in new)",
        (LIVE,),
    ),
    Mutant(
        "a checkpoint names the revision that its state is of",
        "pipeline/stages/folding.py",
        "            self._clocks.revision = migration.after.revision",
        "            assert migration.after.revision >= self._clocks.revision",
        (LIVE,),
    ),
    Mutant(
        "a vehicle that has gone over before a crash is known to have",
        "pipeline/stages/folding.py",
        "        if self._marks.get(vehicle_id) != revision:",
        "        if vehicle_id in self._marks:",
        (ROLLOUTS,),
    ),
    Mutant(
        "only a candidate that has won hands its state on",
        "pipeline/stages/passage.py",
        "        self.has_won = before.stable is not None and before.revision in after.winners",
        "        self.has_won = before.stable is not None and bool(after.winners)",
        (ROLLOUTS,),
    ),
    Mutant(
        "whoever acts afterwards and did not before takes over",
        "pipeline/stages/passage.py",
        "        if heir is not acting:",
        "        if heir is acting:",
        (ROLLOUTS,),
    ),
    Mutant(
        "what followed in the shadow of a winner ends there",
        "pipeline/stages/passage.py",
        "        if self.has_won and theirs is not None:",
        "        if self.has_won and theirs is None:",
        (ROLLOUTS,),
    ),
    Mutant(
        "nothing is done twice where both revisions fire of one rule",
        "rules/engine/tracks.py",
        "    out += [it for it in told if not (isinstance(it, acts) and rule_of(it) in settled)]",
        "    out += told",
        (ROLLOUTS,),
    ),
    Mutant(
        "while a candidate has a share, groups stay with the stable revision",
        "rules/engine/tracks.py",
        "        out += [outcome for outcome in acting if not isinstance(outcome, GroupSample)]",
        "        out += acting",
        (OTHER_ROLLOUTS,),
    ),
    Mutant(
        "a vehicle of the candidate wakes when either revision is due",
        "rules/engine/tracks.py",
        "        return _sooner(deadline, self.candidate.next_deadline(vehicle.candidate))",
        "        return deadline",
        (ROLLOUTS,),
    ),
    Mutant(
        "alerts of groups that fire are counted after a restart",
        "rules/engine/aggregation/merging.py",
        "        return [name for (name, _), group in self._groups.items() if group.windows.is_firing]",
        "        return [name for (name, _), group in self._groups.items() if group.windows.changed]",
        (LIVE_GROUPS,),
    ),
)
