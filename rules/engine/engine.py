"""A fold over the events of each vehicle: `process`, `advance`, `next_deadline`; the caller decides when.

No clock is read here: an outcome is a function of the events and of the two clocks that come with them, so
the same log gives the same outcomes live, after a restart and in a backtest.
"""

from collections.abc import Collection, Iterable, Mapping

from rules.engine import state
from rules.engine.absences import Heard, Now
from rules.engine.alerts import Change, Phase
from rules.engine.events import Event
from rules.engine.fold import Ongoing
from rules.engine.memory import FOREVER, NEVER, Memory
from rules.engine.observers import Observer
from rules.engine.outcomes import Outcome
from rules.engine.places import Places, position_of
from rules.engine.programs import Program, Programs
from rules.engine.registration import NOTHING, Registration
from rules.engine.reports import Cause
from rules.engine.ruleset import RuleSet
from rules.engine.running import RunningAbsence, RunningRule
from rules.engine.standing import Standing, standing
from rules.engine.vehicle import VehicleState
from rules.engine.watcher import Watcher


class Engine:
    """A rule set, ready to run. It holds no state of vehicles: that is the caller's."""

    def __init__(
        self,
        rules: RuleSet,
        *,
        quiet_after_ms: int = 10_000,
        familiar_after: int = 4,
        is_indexed: bool = True,
    ) -> None:
        """`familiar_after` is how often a shape of message is met before code is generated for it.

        Without the index of values every condition is judged at every message that carries what it reads;
        the outcomes are the same.
        """
        self.rules = rules
        self._programs = Programs(rules, familiar_after, is_indexed=is_indexed)
        self._doubts = self._programs.doubts
        self._observer = Observer(rules.revision, self._programs)
        self._watcher = Watcher(self._programs.absences, self._observer.reporter)
        self._quiet_after = quiet_after_ms
        self._retired: tuple[frozenset[str], int] = (frozenset(), 0)
        """The names that were retired last, and their bits."""
        places = Places(rules.fences, self._programs.layout.names)
        self._places = None if places.is_empty else places

    def new_vehicle(self, vehicle_id: str, registration: Registration = NOTHING) -> VehicleState:
        """The state of a vehicle that has said nothing yet."""
        facts = registration.facts()
        memory = Memory.empty(self._programs.layout)
        memory.facts = facts
        return VehicleState(vehicle_id, self._programs.for_vehicle(vehicle_id, facts), memory)

    def process(self, vehicle: VehicleState, event: Event, live_clock: int, out: list[Outcome]) -> None:
        """Apply one message. Timers that were due before it fire first; a late one moves no alert."""
        ts = event.ts
        if live_clock > vehicle.quiet_until and vehicle.program.ears:
            now = Now(live_clock, event.received_at)
            if vehicle.heard:
                self._watcher.advance(vehicle, now, self._clock(vehicle, live_clock), out)
            else:
                self._watcher.begin(vehicle, now)
        if vehicle.is_awaited:
            vehicle.heard_changed = True
        if self._places is not None and event.position is not None:
            event = self._places.told_by(event)
        if ts < vehicle.time:
            self._late(vehicle, event, live_clock, out)
            return
        if ts > vehicle.due:
            self._observer.sweep(vehicle, ts, Cause(event.received_at, ts), out)
        memory = vehicle.memory
        is_first = vehicle.time == NEVER
        if vehicle.swept != NEVER:
            self._contradict(vehicle, ts)
        vehicle.time = ts
        vehicle.received_at = event.received_at
        vehicle.live = live_clock
        vehicle.values_changed = True
        if ts > vehicle.rests_until:
            vehicle.forget_rests()
        if event.position is not None and (position := position_of(event)) is not None:
            vehicle.position = position
            vehicle.positioned_at = ts

        signals = event.signals
        names = tuple(signals)
        program = vehicle.program
        shape = program.shapes.get(names) or program.shape_of(names)
        if memory.stale:
            memory.refresh(shape.slots)
        if shape.run is not None:
            holding = shape.run(memory, signals.values(), ts, vehicle.vehicle_id)
        else:
            holding = self._observer.judge(vehicle, shape, signals.values(), ts)
        if program.scheduled:
            holding &= ~self._closed(vehicle, ts)
        soonest = ts + shape.soonest
        if soonest < vehicle.due:
            vehicle.due = soonest

        attention = vehicle.attention
        expect = vehicle.expect
        touched = (holding ^ expect) & shape.others
        doubts = self._doubts
        if doubts.moved or vehicle.unsettled:
            turned = program.index.turned(vehicle, doubts.moved, shape.mask)
            if turned:
                touched |= self._observer.turn(vehicle, turned)
        named = (vehicle.opened & shape.mask) | (expect & shape.guarded)
        if named:
            touched |= self._observer.review(vehicle, shape, named & ~doubts.judged)
        if attention:
            touched |= attention & (shape.mask | shape.beside)
        if ts >= vehicle.due:
            touched |= self._observer.due_at(vehicle, ts) & shape.mask
        if touched or doubts.errors:
            self._observer.message(vehicle, shape, touched, holding, Cause(event.received_at, ts), out)
        if doubts.judged or doubts.skipped or doubts.unknown:
            doubts.clear()
        if shape.sequences:
            cause = Cause(event.received_at, ts)
            self._observer.sequencer.message(vehicle, shape.sequences, shape.slots, cause, out)
        if shape.ears:
            self._watcher.message(vehicle, shape.ears, Now(live_clock, event.received_at), ts, out)
        if is_first and program.fact_readers:
            readers = _readers(program, program.fact_readers.keys()) & ~shape.mask
            self._observer.registered(vehicle, readers, ts, Cause(event.received_at, ts), out)

    def advance(
        self, vehicle: VehicleState, live_clock: int, received_clock: int, out: list[Outcome]
    ) -> None:
        """Fire the timers that the vehicle's clock has passed in silence."""
        clock = self._clock(vehicle, live_clock)
        if clock > vehicle.due:
            self._observer.sweep(vehicle, clock, Cause(received_clock, None), out)
        if vehicle.program.ears:
            self._watcher.advance(vehicle, Now(live_clock, received_clock), clock, out)

    def register(
        self,
        vehicle: VehicleState,
        registration: Registration,
        live_clock: int,
        received_clock: int,
        out: list[Outcome],
    ) -> None:
        """The registry says this of the vehicle from now on, which is the vehicle's clock.

        Timers that were due before it fire first. Then the rules that no longer select the vehicle end, and
        those that now do, or whose condition reads what has changed, are observed. A vehicle that never spoke
        has no time at which anything could begin, but silence: its rules see the registry with its first
        message.
        """
        facts, before = registration.facts(), vehicle.memory.facts
        now = Now(live_clock, received_clock)
        if vehicle.time == NEVER and (facts != before or not vehicle.heard):
            self._expect(vehicle, facts, now, out)
        if vehicle.time == NEVER or facts == before:
            return
        was, program = vehicle.program, self._programs.for_vehicle(vehicle.vehicle_id, facts)
        at = self._pass_time(vehicle, now, out)
        vehicle.values_changed = True  # timers may be due earlier than before
        self._end(vehicle, was.enabled & ~program.enabled, now, at, reason=Change.DESELECTED, out=out)
        vehicle.memory.facts, vehicle.program = facts, program
        self._heed_edges(vehicle)
        program.index.locate(vehicle)
        self._watcher.select(vehicle, Heard(vehicle.received_at, vehicle.live))
        differing = [key for key in facts.keys() | before.keys() if facts.get(key) != before.get(key)]
        touched = program.enabled & ~was.enabled | _readers(program, differing)
        firing = sum(1 << index for index, alert in vehicle.alerts.items() if alert.phase is Phase.FIRING)
        touched |= firing & _readers_beside(program, differing)
        touched &= (1 << len(program.rules)) - 1
        self._observer.registered(vehicle, touched, at, Cause(received_clock, None, by="registry"), out)

    def forget(self, vehicle: VehicleState, live_clock: int, received_clock: int, out: list[Outcome]) -> None:
        """Resolve what fires, then be as if the vehicle had never spoken; the registry is forgotten, too."""
        if vehicle.time != NEVER or vehicle.heard:
            now = Now(live_clock, received_clock)
            at = self._pass_time(vehicle, now, out)
            self._end(vehicle, self._programs.everything, now, at, reason=Change.FORGOTTEN, out=out)
        vehicle.forget(self._programs.for_vehicle(vehicle.vehicle_id, {}))

    def retire(
        self,
        vehicle: VehicleState,
        names: Collection[str],
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Outcome],
    ) -> None:
        """The rules of these names are no more: what fires of them is resolved, nothing of them is kept."""
        programs, now = self._programs, Now(live_clock, received_clock)
        wanted = frozenset(names)
        if self._retired[0] is not wanted:  # all vehicles come with the same ones, one after the other
            self._retired = (wanted, programs.bits_of(wanted))
        gone = self._retired[1]
        if not gone:
            return
        if vehicle.time != NEVER:
            at = self._pass_time(vehicle, now, out)
            self._end(vehicle, gone, now, at, reason=Change(reason), out=out, by="rules")
        for index in [index for index in vehicle.alerts if gone >> index & 1]:
            del vehicle.alerts[index]
            vehicle.rules_changed |= 1 << index
        first = len(programs.rules) + len(programs.sequences)
        for index in [index for index in vehicle.absences if gone >> first + index & 1]:
            del vehicle.absences[index]
            vehicle.absences_changed |= 1 << index

    def unselected(self, vehicle: VehicleState, parts: Mapping[str, bytes]) -> frozenset[str]:
        """The rules that the parts tell of, and that are for other vehicles only."""
        program = vehicle.program
        found = set()
        for part in parts:
            match self._programs.known.get(part):
                case RunningRule(rule=rule, index=index) if not program.enabled >> index & 1:
                    found.add(rule.name)
                case RunningAbsence(rule=absence) as silence if silence not in program.absences:
                    found.add(absence.name)
        return frozenset(found)

    def ongoing(self, vehicle: VehicleState) -> Ongoing:
        """The alerts that fire."""
        return Ongoing({**self._observer.open_of(vehicle), **self._watcher.open_of(vehicle)})

    def hand_over(
        self,
        vehicle: VehicleState,
        others: Ongoing,
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Outcome],
    ) -> None:
        """Another set acts for the vehicle from now on: what does not fire there is resolved."""
        now = Now(live_clock, received_clock)
        at = self._pass_time(vehicle, now, out)
        for name in self.ongoing(vehicle).open.keys() & others.open.keys():
            self._observer.drop(vehicle, name)
            self._watcher.drop(vehicle, name)
        self._end(vehicle, self._programs.everything, now, at, reason=Change(reason), out=out, by="rules")

    def take_over(
        self,
        vehicle: VehicleState,
        others: Ongoing,
        _reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Outcome],
    ) -> None:
        """Act for the vehicle in place of another set: what fires here alone is told."""
        at = self._pass_time(vehicle, Now(live_clock, received_clock), out)
        cause = Cause(received_clock, None, by="rules")
        self._observer.announce(vehicle, others, at, cause, out)
        self._watcher.announce(vehicle, others, at, cause, out)

    def firing_of(self, parts: Mapping[str, bytes]) -> list[str]:
        """The rules whose alert fires for a vehicle that is packed. Raises StateFormatError."""
        return state.firing(self._programs, parts)

    def next_deadline(self, vehicle: VehicleState) -> int | None:
        """The live clock after which `advance` may have something to do; None if it has nothing to wait for.

        Never later than the first timer. It may be earlier (timers move with data, and are not followed one
        by one); `advance` then finds nothing and the next answer is later.
        """
        deadline = self._by_event_time(vehicle.due, vehicle.time, vehicle.live)
        if vehicle.program.ears:
            deadline = min(deadline, self._watcher.next_deadline(vehicle))
        return None if deadline >= FOREVER else deadline

    def deadline_of(self, parts: Mapping[str, bytes]) -> int | None:
        """`next_deadline` of a vehicle that is still packed. Raises StateFormatError."""
        values = parts.get(state.VALUES)
        if values is None:
            deadline = state.absence_deadline(self._programs, parts)
            return None if deadline >= FOREVER else deadline
        due, time, live, frontier = state.deadline(values)
        timetable = self._programs.timetable
        if timetable.mask:
            due = min(due, timetable.next_edge(frontier, timetable.mask))
        deadline = self._by_event_time(due, time, live)
        if self._programs.absences:
            deadline = min(deadline, state.absence_deadline(self._programs, parts))
        return None if deadline >= FOREVER else deadline

    def event_time(self, vehicle: VehicleState) -> int | None:
        """The event time of a vehicle; None if it has said nothing."""
        return None if vehicle.time == NEVER else vehicle.time

    def take_activations(self) -> dict[str, int]:
        """How often the condition of each rule began to hold, of all vehicles, since the last call.

        A figure for people, no part of what the fold yields: one that ends before its `for` has no record.
        """
        observer, watcher = self._observer, self._watcher
        began = {**observer.began, **observer.sequencer.began, **watcher.began}
        observer.began, observer.sequencer.began, watcher.began = {}, {}, {}
        return began

    def standing(self, vehicle: VehicleState, rule: str) -> Standing:
        """How a rule stands for a vehicle: for tests and for people."""
        return standing(vehicle, rule)

    def last_known(self, vehicle: VehicleState) -> dict[str, object]:
        """The last value, however old, of each signal that some rule reads and the vehicle has said."""
        memory = vehicle.memory
        return {
            name: memory.last(slot)
            for slot, name in enumerate(memory.layout.names)
            if memory.times[slot] != NEVER
        }

    def snapshot(self, vehicle: VehicleState) -> dict[str, bytes]:
        """The whole state in parts, each with its format version; parts that hold nothing are left out."""
        return state.snapshot(vehicle)

    def changed(self, vehicle: VehicleState) -> dict[str, bytes | None]:
        """The parts that changed since the last call; None for one that is gone."""
        return state.changed(vehicle)

    def restore(
        self, vehicle_id: str, parts: Mapping[str, bytes], registration: Registration = NOTHING
    ) -> VehicleState:
        """The vehicle that `snapshot` told of, also over all that `changed` said so far.

        Parts of rules that the set does not have are dropped. Raises StateFormatError for bytes of another
        format: state that cannot be read must not be taken for none.
        """
        vehicle = self.new_vehicle(vehicle_id, registration)
        state.restore(vehicle, parts)
        self._heed_edges(vehicle)
        vehicle.program.index.locate(vehicle)
        return vehicle

    def _by_event_time(self, due: int, time: int, live: int) -> int:
        """The live clock at which a vehicle's own clock reaches an instant, if the vehicle stays silent."""
        return FOREVER if due >= FOREVER else due - time + live + self._quiet_after

    def _clock(self, vehicle: VehicleState, live_clock: int) -> int:
        """The vehicle's clock: its event time, and the silence since beyond what is usual."""
        return vehicle.time + max(0, live_clock - vehicle.live - self._quiet_after)

    def _pass_time(self, vehicle: VehicleState, now: Now, out: list[Outcome]) -> int:
        """Fire what is due before the vehicle's clock, which is returned."""
        self.advance(vehicle, now.live, now.received, out)
        if vehicle.time == NEVER:
            return now.received
        return max(self._clock(vehicle, now.live), vehicle.swept - 1)

    def _expect(
        self, vehicle: VehicleState, facts: Mapping[str, object], now: Now, out: list[Outcome]
    ) -> None:
        """The registry says something of a vehicle that never spoke."""
        was, program = vehicle.program, self._programs.for_vehicle(vehicle.vehicle_id, facts)
        at = self._pass_time(vehicle, now, out)
        self._end(vehicle, was.enabled & ~program.enabled, now, at, reason=Change.DESELECTED, out=out)
        vehicle.memory.facts, vehicle.program = facts, program
        self._watcher.expect(vehicle, now)

    def _end(
        self,
        vehicle: VehicleState,
        ended: int,
        now: Now,
        at: int,
        *,
        reason: Change,
        out: list[Outcome],
        by: str = "registry",
    ) -> None:
        """What has these bits of a program does not concern the vehicle any more."""
        programs = self._programs
        cause = Cause(now.received, None, by=by)
        self._observer.end(vehicle, ended, at, reason=reason, cause=cause, out=out)
        silences = ended >> len(programs.rules) + len(programs.sequences)
        self._watcher.end(vehicle, silences, now, at, reason=reason, cause=cause, out=out)

    def _heed_edges(self, vehicle: VehicleState) -> None:
        """The vehicle may have rules with schedules that it did not have before."""
        scheduled = vehicle.program.scheduled
        if scheduled and vehicle.time != NEVER:
            frontier = max(vehicle.time, vehicle.swept)
            vehicle.due = min(vehicle.due, self._programs.timetable.next_edge(frontier, scheduled))

    def _closed(self, vehicle: VehicleState, ts: int) -> int:
        """The rules that are outside their schedule: their conditions are false, whatever was said."""
        timetable, scheduled = self._programs.timetable, vehicle.program.scheduled
        if vehicle.due >= FOREVER:
            vehicle.due = timetable.next_edge(ts, scheduled)
        closed = timetable.closed(ts) & scheduled
        if closed and (self._doubts.unknown or self._doubts.errors or self._doubts.skipped):
            self._doubts.forget(closed)
        return closed

    def _contradict(self, vehicle: VehicleState, ts: int) -> None:
        """The vehicle speaks after timers have fired by silence: time is what it says."""
        vehicle.program.index.unsettle(vehicle, vehicle.memory.revive(ts))
        vehicle.swept = NEVER
        vehicle.due = min(self._observer.next_due(vehicle, ts), vehicle.due)

    def _late(self, vehicle: VehicleState, event: Event, live_clock: int, out: list[Outcome]) -> None:
        """Old news: a signal's own newer sample is taken, no alert is moved.

        Nor does a timer come to life at an instant that the vehicle's clock has passed.
        """
        memory = vehicle.memory
        layout = memory.layout
        clock = self._clock(vehicle, live_clock)
        if clock > vehicle.due:
            self._observer.sweep(vehicle, clock, Cause(event.received_at, None), out)
        if clock > vehicle.time:
            vehicle.swept = max(vehicle.swept, clock)
            vehicle.values_changed = True
        frontier = max(vehicle.time, vehicle.swept)
        ts = event.ts
        taken = []
        for name, value in event.signals.items():
            slot = layout.slots.get(name)
            if slot is None or ts <= memory.times[slot]:
                continue
            memory.take(slot, ts, value)
            taken.append(slot)
            vehicle.values_changed = True
            wilts = ts + layout.stale_after[slot]
            if wilts < frontier:
                memory.wilt(slot)
            timed = layout.kept[slot].timed if slot in layout.kept else ()
            for due in (wilts, *(ts + after for after in (*layout.ages[slot], *timed))):
                if frontier <= due < vehicle.due:
                    vehicle.due = due
        vehicle.program.index.unsettle(vehicle, taken)
        position = position_of(event)
        if position is not None and ts > vehicle.positioned_at:
            vehicle.position = position
            vehicle.positioned_at = ts
            vehicle.values_changed = True
        if vehicle.program.ears:
            now = Now(live_clock, event.received_at)
            self._watcher.message(vehicle, vehicle.program.hears(event.signals), now, ts, out)
            vehicle.values_changed = True


def _readers(program: Program, keys: Iterable[str]) -> int:
    """The rules whose condition reads one of these facts."""
    mask = 0
    for key in keys:
        mask |= program.fact_readers.get(key, 0)
    return mask


def _readers_beside(program: Program, keys: Iterable[str]) -> int:
    """The rules of which something else does: value, clear condition, ladder."""
    mask = 0
    for key in keys:
        mask |= program.fact_readers_beside.get(key, 0)
    return mask
