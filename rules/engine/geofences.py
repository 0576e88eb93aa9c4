"""A fold over the positions of each vehicle: which fences it enters, leaves, stays in, crosses, or speeds in.

The cost of a fix hardly depends on how many fences there are: an index tells those that it is in, and state
is kept of visits only. A fence of which nothing is kept is one that the last fix was outside of; where that
fix says otherwise the fence, or the rule, is new, and the visit began before anybody looked.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from rules.engine import fence_state
from rules.engine.events import Event
from rules.engine.expressions import Expression
from rules.engine.fence_fixes import goes_on, observed, where
from rules.engine.fence_groups import Group
from rules.engine.fence_outcomes import FenceOutcome
from rules.engine.fence_reports import FenceReporter
from rules.engine.fence_state import FencedVehicle, Fix, Visits
from rules.engine.fold import Ongoing, Open
from rules.engine.memory import FOREVER, NEVER, Look, Memory, layout_for
from rules.engine.places import position_of
from rules.engine.registration import NOTHING, Registration
from rules.engine.reports import Cause
from rules.engine.ruleset import FenceRule, RuleSet
from rules.engine.visits import Happening, Lies, Phase, Visit, close, drive, due, fire, observe, quiet
from rules.geometry import ShapeIndex, distance_m
from rules.geometry.shapes import Path

LONGEST_STEP_MS = 120_000
LONGEST_STEP_METERS = 5_000.0
"""Two fixes farther apart say nothing about the way between them."""
_LONGEST_STEP_NORTH = 0.046
"""Degrees of latitude that are more than so many metres, wherever one is: most jumps are told by them."""


class Geofences:
    """The geofence rules of a set, ready to run. It holds no state of vehicles: that is the caller's."""

    def __init__(self, rules: RuleSet, *, quiet_after_ms: int = 10_000) -> None:
        ordered = sorted(rules.fence_rules, key=lambda rule: rule.name)
        self._rules = {rule.name: rule for rule in ordered}
        self._reporter = FenceReporter(rules)
        self._quiet_after = quiet_after_ms
        self._fences_of = {rule.name: frozenset(rule.fences) for rule in ordered}
        self._names = sorted(frozenset().union(*self._fences_of.values()))
        self._shapes = {name: rules.fences[name] for name in self._names}
        self._index = ShapeIndex([self._shapes[name] for name in self._names])
        accuracies = sorted({rule.max_accuracy_meters for rule in ordered}, key=lambda it: it or 0.0)
        self._groups = [Group(accuracy, ordered, self._names) for accuracy in accuracies]
        self._with_limit = [rule for rule in ordered if rule.speed_limit is not None]
        self._layout = layout_for({}, [rule.vehicles for rule in ordered if rule.vehicles is not None])
        self._selectors = {
            rule.name: None if rule.vehicles is None else Expression(rule.vehicles, self._layout)
            for rule in ordered
        }
        self._has_selectors = any(selector is not None for selector in self._selectors.values())
        self._all = frozenset(self._rules)

    def new_vehicle(self, vehicle_id: str, registration: Registration = NOTHING) -> FencedVehicle:
        """The state of a vehicle that has said nothing yet."""
        facts = registration.facts()
        return FencedVehicle(vehicle_id, self._enabled(vehicle_id, facts), facts)

    def _enabled(self, vehicle_id: str, facts: Mapping[str, object]) -> frozenset[str]:
        """The names of the rules that are for a vehicle."""
        if not self._has_selectors:
            return self._all
        memory = Memory.empty(self._layout)
        memory.facts = facts
        look = Look(memory, vehicle_id, 0)
        return frozenset(name for name, selector in self._selectors.items() if _selects(selector, look))

    def process(self, vehicle: FencedVehicle, event: Event, live_clock: int, out: list[FenceOutcome]) -> None:
        """Apply one message. Timers that were due before it fire first; a late one moves nothing."""
        ts = event.ts
        cause = Cause(event.received_at, ts)
        if vehicle.has_orphans:
            self._close_orphans(vehicle, cause, out)
        if ts < vehicle.time:
            return
        if ts > vehicle.due:
            self._sweep(vehicle, ts, cause, out)
        vehicle.time, vehicle.live = ts, live_clock
        vehicle.fixes_changed = True
        position = position_of(event)
        if position is not None:
            covering = self._index.covering(position[0], position[1])
            for group in self._groups:
                if group.takes(position):
                    self._take(vehicle, group, Fix(position, ts), covering, cause, out)
        if vehicle.visits:
            for rule in self._with_limit:
                self._drive(vehicle, rule, event, cause, out)
            self._forget(vehicle)
            vehicle.due = self._next_due(vehicle)

    def advance(
        self, vehicle: FencedVehicle, live_clock: int, received_clock: int, out: list[FenceOutcome]
    ) -> None:
        """Fire the timers that the vehicle's clock has passed in silence."""
        cause = Cause(received_clock, None)
        if vehicle.has_orphans:
            self._close_orphans(vehicle, cause, out)
        clock = self._clock(vehicle, live_clock)
        if clock > vehicle.due:
            self._sweep(vehicle, clock, cause, out)

    def register(
        self,
        vehicle: FencedVehicle,
        registration: Registration,
        live_clock: int,
        received_clock: int,
        out: list[FenceOutcome],
    ) -> None:
        """The registry says this of the vehicle from now on. Visits under rules that are not for it end."""
        facts = registration.facts()
        enabled = self._enabled(vehicle.vehicle_id, facts)
        deselected = [name for name in vehicle.visits if name not in enabled]
        if deselected:
            self.advance(vehicle, live_clock, received_clock, out)
            cause = Cause(received_clock, None, by="registry")
            at = self._clock(vehicle, live_clock)
            for name in sorted(deselected):
                self._close(vehicle, name, vehicle.visits[name].by_fence, at, "deselected", cause, out)
                del vehicle.visits[name]
            vehicle.due = self._next_due(vehicle)
            vehicle.fixes_changed = True
        vehicle.facts, vehicle.enabled = facts, enabled

    def forget(
        self, vehicle: FencedVehicle, live_clock: int, received_clock: int, out: list[FenceOutcome]
    ) -> None:
        """End all visits, then be as if the vehicle had never spoken; the registry is forgotten, too."""
        if vehicle.time != NEVER:
            self.advance(vehicle, live_clock, received_clock, out)
            cause = Cause(received_clock, None, by="registry")
            at = self._clock(vehicle, live_clock)
            for name in sorted(vehicle.visits):
                self._close(vehicle, name, vehicle.visits[name].by_fence, at, "forgotten", cause, out)
        vehicle.forget()
        vehicle.facts, vehicle.enabled = {}, self._enabled(vehicle.vehicle_id, {})

    def retire(
        self,
        vehicle: FencedVehicle,
        names: Collection[str],
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[FenceOutcome],
    ) -> None:
        """The rules of these names are no more: their visits end, without actions."""
        gone = sorted(name for name in vehicle.visits if name in names)
        if not gone:
            return
        self.advance(vehicle, live_clock, received_clock, out)
        cause = Cause(received_clock, None, by="rules")
        at = self._clock(vehicle, live_clock)
        for name in gone:
            if name in vehicle.visits:
                self._close(vehicle, name, vehicle.visits[name].by_fence, at, reason, cause, out)
                del vehicle.visits[name]
        vehicle.due = self._next_due(vehicle)
        vehicle.fixes_changed = True

    def unselected(self, vehicle: FencedVehicle, parts: Mapping[str, bytes]) -> frozenset[str]:
        """The rules that the parts tell of, and that are for other vehicles only."""
        told = {part.removeprefix(fence_state.RULE) for part in parts if part.startswith(fence_state.RULE)}
        return frozenset(told & self._all - vehicle.enabled)

    def ongoing(self, vehicle: FencedVehicle) -> Ongoing:
        """The visits that were told of."""
        return Ongoing(
            {
                _visit_name(rule, fence): Open(rule)
                for rule, visits in vehicle.visits.items()
                for fence, visit in visits.by_fence.items()
                if visit.phase is not Phase.ENTERING
            }
        )

    def hand_over(
        self,
        vehicle: FencedVehicle,
        others: Ongoing,
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[FenceOutcome],
    ) -> None:
        """Another set acts for the vehicle from now on: visits that it does not have end, without actions."""
        self.advance(vehicle, live_clock, received_clock, out)
        cause = Cause(received_clock, None, by="rules")
        at = self._clock(vehicle, live_clock)
        for name, visits in sorted(vehicle.visits.items()):
            lost = [fence for fence in visits.by_fence if _visit_name(name, fence) not in others.open]
            self._close(vehicle, name, lost, at, reason, cause, out)

    def take_over(
        self,
        vehicle: FencedVehicle,
        others: Ongoing,
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[FenceOutcome],
    ) -> None:
        """Act for the vehicle in place of another set: visits that this one alone has are told, no more."""
        self.advance(vehicle, live_clock, received_clock, out)
        cause = Cause(received_clock, None, by="rules")
        at = self._clock(vehicle, live_clock)
        for name, visits in sorted(vehicle.visits.items()):
            for fence, visit in sorted(visits.by_fence.items()):
                if visit.phase is not Phase.ENTERING and _visit_name(name, fence) not in others.open:
                    begun = Happening("enter", visit.since, max(at, visits.moved), None, reason)
                    self._tell(vehicle, self._rules[name], fence, [begun], cause, out)

    def firing_of(self, _parts: Mapping[str, bytes]) -> list[str]:
        """None: geofence rules tell of events."""
        return []

    def next_deadline(self, vehicle: FencedVehicle) -> int | None:
        """The live clock after which `advance` may have something to do; None if it waits for nothing."""
        if vehicle.has_orphans:
            return NEVER
        if vehicle.due >= FOREVER:
            return None
        return vehicle.due - vehicle.time + vehicle.live + self._quiet_after

    def deadline_of(self, parts: Mapping[str, bytes]) -> int | None:
        """`next_deadline` of a vehicle that is still packed. Raises StateFormatError."""
        packed = parts.get(fence_state.FIXES)
        if packed is None:
            return None
        instant, time, live = fence_state.deadline(packed)
        if len(parts) > 1 and self._has_orphans(
            (part.removeprefix(fence_state.RULE), fence_state.fences_of(part, content))
            for part, content in parts.items()
            if part.startswith(fence_state.RULE)
        ):
            return NEVER
        return None if instant >= FOREVER else instant - time + live + self._quiet_after

    def event_time(self, vehicle: FencedVehicle) -> int | None:
        """The event time of a vehicle; None if it has said nothing."""
        return None if vehicle.time == NEVER else vehicle.time

    def snapshot(self, vehicle: FencedVehicle) -> dict[str, bytes]:
        """The whole state in parts, each with its format version; parts that hold nothing are left out."""
        return fence_state.snapshot(vehicle)

    def changed(self, vehicle: FencedVehicle) -> dict[str, bytes | None]:
        """The parts that changed since the last call; None for one that is gone."""
        return fence_state.changed(vehicle)

    def restore(
        self, vehicle_id: str, parts: Mapping[str, bytes], registration: Registration = NOTHING
    ) -> FencedVehicle:
        """The vehicle that `snapshot` told of, also over all that `changed` said so far.

        Parts of rules that the set does not have are dropped. Visits of fences that their rule does not have
        any more end at the next call. Raises StateFormatError for bytes of another format.
        """
        vehicle = self.new_vehicle(vehicle_id, registration)
        fence_state.restore(vehicle, parts)
        vehicle.has_orphans = self._has_orphans((rule, it.by_fence) for rule, it in vehicle.visits.items())
        return vehicle

    # -- fixes ---------------------------------------------------------------------------------------------

    def _take(
        self,
        vehicle: FencedVehicle,
        group: Group,
        fix: Fix,
        covering: Sequence[int],
        cause: Cause,
        out: list[FenceOutcome],
    ) -> None:
        """Apply a fix to the rules that find it exact enough."""
        before = vehicle.fixes.get(group.accuracy)
        vehicle.fixes[group.accuracy] = fix
        met = self._met(before, fix, covering) if group.crossed and before is not None else ()
        if not covering and not met and not vehicle.visits:
            return
        concerned = {(rule, self._names[index]) for index in covering for rule in group.rules_of[index]}
        concerned |= {(rule, self._names[index]) for index in met for rule in group.crossed[index]}
        concerned = {pair for pair in concerned if pair[0] in vehicle.enabled}
        concerned |= {
            (rule, fence)
            for rule, visits in vehicle.visits.items()
            if rule in group.rules
            for fence in visits.by_fence
        }
        inside = {self._names[index] for index in covering}
        crossed = {self._names[index] for index in met}
        for name, fence in sorted(concerned):
            rule, shape = self._rules[name], self._shapes[fence]
            visits = vehicle.visits.get(name) or Visits()
            visit = visits.by_fence.get(fence)
            happenings: list[Happening] = []
            at = max(fix.at, visits.moved)
            if visit is not None:
                is_within = fence in inside
                if is_within and goes_on(visit, rule, shape, at):
                    continue
                was = visit.phase, visit.left_at, visit.is_within, visit.digest
                lies = where(shape, fix.position, rule.exit_buffer_meters, is_within=is_within)
                visit, happenings = observed(visit, rule, shape, lies, fix.at, at)
                is_same = visit is not None and was == (
                    visit.phase,
                    visit.left_at,
                    visit.is_within,
                    visit.digest,
                )
                if is_same and not happenings:
                    continue  # its part of the state is not written again
            elif fence in inside:
                if before is None or shape.covers(before.position[0], before.position[1]):
                    visit = quiet(at if before is None else before.at, shape.digest)
                else:
                    visit = Visit(Phase.ENTERING, at, shape.digest)
                visit, happenings = observe(visit, rule, Lies.WITHIN, at)
            elif fence in crossed and before is not None and not shape.covers(*before.position[:2]):
                happenings = [Happening("cross", before.at, at)]
            else:
                continue
            self._settle(vehicle, name, visits, fence, visit)
            self._tell(vehicle, rule, fence, happenings, cause, out)

    def _met(self, before: Fix, fix: Fix, covering: Sequence[int]) -> Sequence[int]:
        """The fences on the way between two fixes, without the last one's; none if they say nothing of it."""
        (latitude, longitude), (to_latitude, to_longitude) = before.position[:2], fix.position[:2]
        if fix.at - before.at > LONGEST_STEP_MS or abs(to_latitude - latitude) > _LONGEST_STEP_NORTH:
            return ()
        met = self._index.met(Path(latitude, longitude, to_latitude, to_longitude), covering)
        if met and distance_m(latitude, longitude, to_latitude, to_longitude) > LONGEST_STEP_METERS:
            return ()
        return met

    def _drive(
        self, vehicle: FencedVehicle, rule: FenceRule, event: Event, cause: Cause, out: list[FenceOutcome]
    ) -> None:
        """Apply a speed to the visits of a rule that limits it."""
        visits, limit = vehicle.visits.get(rule.name), rule.speed_limit
        if visits is None or limit is None or limit.signal not in event.signals:
            return
        speed = event.signals[limit.signal]
        fix = vehicle.fixes.get(rule.max_accuracy_meters)
        is_known = fix is not None and event.ts - fix.at <= rule.stale_after_ms
        for fence, visit in sorted(visits.by_fence.items()):
            before = visit.fast_since, visit.is_speeding
            at = max(event.ts, visits.moved)
            happenings = drive(visit, speed if is_known else None, limit.limit, limit.for_ms, at)
            if before != (visit.fast_since, visit.is_speeding):
                vehicle.visits_changed.add(rule.name)
            self._tell(vehicle, rule, fence, happenings, cause, out, speed=speed)

    # -- time ----------------------------------------------------------------------------------------------

    def _sweep(self, vehicle: FencedVehicle, limit: int, cause: Cause, out: list[FenceOutcome]) -> None:
        """Fire, in order, every timer due before `limit`."""
        while (instant := self._next_due(vehicle)) < limit:
            for name in sorted(vehicle.visits):
                rule, visits = self._rules[name], vehicle.visits[name]
                for fence, visit in sorted(visits.by_fence.items()):
                    if self._due(vehicle, rule, visit) != instant:
                        continue
                    at = max(instant, visits.moved)
                    left, happenings = fire(visit, rule, at, is_silence=cause.event_time is None)
                    self._settle(vehicle, name, visits, fence, left)
                    self._tell(vehicle, rule, fence, happenings, cause, out)
        vehicle.due = instant
        vehicle.fixes_changed = True

    def _clock(self, vehicle: FencedVehicle, live_clock: int) -> int:
        """The vehicle's clock: its event time, and the silence since beyond what is usual."""
        return vehicle.time + max(0, live_clock - vehicle.live - self._quiet_after)

    def _next_due(self, vehicle: FencedVehicle) -> int:
        dues = (
            self._due(vehicle, self._rules[name], visit)
            for name, visits in vehicle.visits.items()
            for visit in visits.by_fence.values()
        )
        return min(dues, default=FOREVER)

    def _due(self, vehicle: FencedVehicle, rule: FenceRule, visit: Visit) -> int:
        fix = vehicle.fixes.get(rule.max_accuracy_meters)
        instant = due(visit, rule, visit.since if fix is None else fix.at)
        return FOREVER if instant is None else instant

    def _forget(self, vehicle: FencedVehicle) -> None:
        """Drop what was only kept because nothing is dated before it."""
        for name in [it for it, visits in vehicle.visits.items() if not visits.by_fence]:
            if vehicle.visits[name].moved < vehicle.time:
                del vehicle.visits[name]
                vehicle.visits_changed.add(name)

    # -- edits ---------------------------------------------------------------------------------------------

    def _has_orphans(self, visited: Iterable[tuple[str, Iterable[str]]]) -> bool:
        known = self._fences_of
        return any(name in known and fence not in known[name] for name, fences in visited for fence in fences)

    def _close_orphans(self, vehicle: FencedVehicle, cause: Cause, out: list[FenceOutcome]) -> None:
        """End the visits of fences that are gone, as of the last that was heard of the vehicle."""
        vehicle.has_orphans = False
        for name in sorted(vehicle.visits):
            gone = vehicle.visits[name].by_fence.keys() - self._fences_of[name]
            self._close(vehicle, name, gone, vehicle.time, "fenceDeleted", cause, out)
        vehicle.due = self._next_due(vehicle)
        vehicle.fixes_changed = True

    def _close(
        self,
        vehicle: FencedVehicle,
        name: str,
        fences: Iterable[str],
        at: int,
        reason: str,
        cause: Cause,
        out: list[FenceOutcome],
    ) -> None:
        """End visits although the vehicle has not left."""
        visits = vehicle.visits[name]
        for fence in sorted(fences):
            happenings = close(visits.by_fence[fence], max(at, visits.moved), reason)
            self._settle(vehicle, name, visits, fence, None)
            self._tell(vehicle, self._rules[name], fence, happenings, cause, out)

    # -- both ----------------------------------------------------------------------------------------------

    def _settle(
        self, vehicle: FencedVehicle, rule: str, visits: Visits, fence: str, visit: Visit | None
    ) -> None:
        if visit is None:
            visits.by_fence.pop(fence, None)
        else:
            visits.by_fence[fence] = visit
        vehicle.visits[rule] = visits
        vehicle.visits_changed.add(rule)

    def _tell(
        self,
        vehicle: FencedVehicle,
        rule: FenceRule,
        fence: str,
        happenings: Iterable[Happening],
        cause: Cause,
        out: list[FenceOutcome],
        *,
        speed: object = None,
    ) -> None:
        visits = vehicle.visits[rule.name]
        fix = vehicle.fixes.get(rule.max_accuracy_meters)
        for happening in happenings:
            if happening.confirmed_at > visits.moved:
                visits.moved, visits.told = happening.confirmed_at, {}
            key = f"{happening.event} {fence}"
            ordinal = visits.told.get(key, 0)
            visits.told[key] = ordinal + 1
            vehicle.visits_changed.add(rule.name)
            if happening.event in rule.events or happening.event == "speeding":
                self._reporter.report(
                    rule,
                    vehicle,
                    fence,
                    happening,
                    ordinal=ordinal,
                    position=None if fix is None else fix.position,
                    cause=cause,
                    speed=speed if isinstance(speed, float) else None,
                    out=out,
                )


def _visit_name(rule: str, fence: str) -> str:
    return f"{rule} {fence}"


def _selects(selector: Expression | None, look: Look) -> bool:
    """A selector without a value selects nothing."""
    try:
        return selector is None or selector.truth(look) is True
    except Exception:
        return False
