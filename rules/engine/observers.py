"""Everything beyond the common path: an alert is observed, because a message touched it or a timer is due.

Order at one instant: messages, then the holds of alerts (`for`, `keepFiringFor`, `staleGrace`), then
sequences, then signals that turn stale or reach an age, samples that leave a window, and schedules that open
or close. Within each, rules in the order of their names.
"""

from collections.abc import Collection, Iterable
from operator import itemgetter

from rules.engine.alerts import Alert, Change, Observation, Phase, end, observe
from rules.engine.expressions import Expression
from rules.engine.fold import Ongoing, Open
from rules.engine.leaves import Leaves, Windows
from rules.engine.masks import bits
from rules.engine.memory import FOREVER, NEVER, Look
from rules.engine.outcomes import Outcome, alert_id
from rules.engine.programs import Programs
from rules.engine.reports import Cause, Occasion, Reporter, failure, first_record
from rules.engine.running import RunningRule
from rules.engine.sequencer import Sequencer
from rules.engine.shapes import Shape
from rules.engine.vehicle import VehicleState
from rules.language.values import UNKNOWN

_FEW = 4
"""So many rules are judged one by one rather than all that read a window by generated code."""


class Observer:
    """Observes alerts of vehicles for one rule set."""

    def __init__(self, revision: int, programs: Programs) -> None:
        self._rules = programs.rules
        self._doubts = programs.doubts
        self._timetable = programs.timetable
        self.reporter = Reporter(revision)
        self.sequencer = Sequencer(programs.sequences, self.reporter)
        self.began: dict[str, int] = {}
        """By rule, how often its condition began to hold; whoever reads it begins anew."""

    def judge(self, vehicle: VehicleState, shape: Shape, fresh: Collection[object], ts: int) -> int:
        """What a shape's generated code does, for shapes that have none."""
        for slot, value in zip(shape.places, fresh, strict=True):
            if slot >= 0:
                vehicle.memory.take(slot, ts, value)
        self._doubts.moved[:] = shape.watched
        look = Look(vehicle.memory, vehicle.vehicle_id, ts, shape.slots)
        memory = vehicle.memory
        holding = 0
        for index in bits(shape.others):
            when = self._rules[index].when
            if when.lacks(memory, shape.slots):
                self._doubts.skipped |= 1 << index
                continue
            try:
                truth = when.truth(look)
            except Exception as error:
                self._doubts.errors.append((index, error))
                truth = None
            if truth:
                holding |= 1 << index
            elif truth is None:
                self._doubts.unknown.add(index)
        return holding

    def turn(self, vehicle: VehicleState, turned: Iterable[int]) -> int:
        """Judge settled rules. Those whose condition is not what their alert expects."""
        doubts, values, expect = self._doubts, vehicle.memory.values, vehicle.expect
        settled = vehicle.program.index.settled
        judged = holding = 0
        odd = set()
        for index in turned:
            try:
                truth = self._rules[index].when.over_values(values)
            except Exception:
                truth = None
            bit = 1 << index
            judged |= bit
            if truth is True:
                holding |= bit
            elif truth is not False:
                odd.add(index)
        for index in odd:
            judged &= ~(1 << index)
        judged &= settled  # places may know rules that are not for this vehicle
        holding &= judged
        doubts.judged |= judged
        doubts.holding |= holding
        touched = (holding ^ expect) & judged
        for index in odd:
            if settled >> index & 1:
                touched |= self._exactly(vehicle, index, None)
        return touched

    def review(self, vehicle: VehicleState, shape: Shape, named: int) -> int:
        """Judge the rules of a mask. Those whose condition is not what their alert expects."""
        look = Look(vehicle.memory, vehicle.vehicle_id, vehicle.time, shape.slots)
        touched = 0
        for index in bits(named):
            touched |= self._exactly(vehicle, index, look)
        return touched

    def _exactly(self, vehicle: VehicleState, index: int, look: Look | None) -> int:
        """Judge one rule that may be unknown. Its bit if the condition is not what its alert expects."""
        doubts, bit = self._doubts, 1 << index
        rule = self._rules[index]
        when = rule.when
        if not rule.is_open(vehicle.time):
            doubts.judged |= bit
            return vehicle.expect & bit
        if when.lacks(vehicle.memory):
            doubts.skipped |= bit
            return vehicle.expect & bit
        truth = None
        try:
            truth = when.truth(look or Look(vehicle.memory, vehicle.vehicle_id, vehicle.time))
        except Exception as error:
            doubts.errors.append((index, error))
        doubts.judged |= bit
        if truth is True:
            doubts.holding |= bit
            return bit & ~vehicle.expect
        if truth is None:
            doubts.unknown.add(index)
        return bit & vehicle.expect

    def message(
        self,
        vehicle: VehicleState,
        shape: Shape,
        touched: int,
        holding: int,
        cause: Cause,
        out: list[Outcome],
    ) -> None:
        """Observe the alerts that a message touched."""
        doubts = self._doubts
        ts = vehicle.time
        for index, error in sorted(doubts.errors, key=itemgetter(0)):
            out.append(failure(self._rules[index], vehicle, ts, error))
        doubts.errors.clear()
        look = Look(vehicle.memory, vehicle.vehicle_id, ts, shape.slots)
        judged = (shape.others & ~doubts.skipped) | doubts.judged
        holding |= doubts.holding
        as_expected = vehicle.program.index.settled & shape.mask & vehicle.expect & ~doubts.skipped
        for index in bits(touched):
            rule = self._rules[index]
            alert = vehicle.alerts.get(index) or Alert()
            when: bool | None
            if judged >> index & 1:
                when = None if index in doubts.unknown else bool(holding >> index & 1)
            elif as_expected >> index & 1 and (rule.clear_when is None or alert.phase is Phase.PENDING):
                when = True  # it held when it was last judged, and nothing turned since
            elif alert.phase is Phase.PENDING and not shape.mask >> index & 1:
                self._measure(vehicle, rule, alert, look, out)
                continue
            else:
                when = self._when(vehicle, rule, look, out)
            if when and rule.only_measures(alert, ts):
                self._measure(vehicle, rule, alert, look, out)
                continue
            self._observe(vehicle, rule, alert, Observation(ts, when), cause=cause, look=look, out=out)

    def sweep(self, vehicle: VehicleState, limit: int, cause: Cause, out: list[Outcome]) -> None:
        """Fire, in order, every timer due before `limit`."""
        vehicle.values_changed = True  # at least `due` is another one
        frontier = max(vehicle.time, vehicle.swept)
        leaves = Leaves(vehicle.memory, frontier, limit)
        of_signals = vehicle.memory.next_due(frontier)
        fired = NEVER
        while True:
            due = min(of_signals, leaves.due, self._of_rules(vehicle, frontier))
            if due >= limit:
                vehicle.due = due
                return
            assert due > fired, "a timer fires once"
            fired = due
            self._fire(vehicle, due, leaves.at(due), cause, out)
            vehicle.swept = frontier = due + 1
            if due == of_signals:
                of_signals = vehicle.memory.next_due(frontier)

    def next_due(self, vehicle: VehicleState, frontier: int) -> int:
        """The first instant, from `frontier` on, at which a timer is due; FOREVER if none is."""
        memory = vehicle.memory
        return min(memory.next_due(frontier), memory.next_leave(frontier), self._of_rules(vehicle, frontier))

    def _of_rules(self, vehicle: VehicleState, frontier: int) -> int:
        """The first instant at which time alone moves an alert or a sequence, or a schedule is at an edge."""
        soonest = FOREVER
        for index, alert in vehicle.alerts.items():
            due = self._rules[index].due(alert)
            if due is not None and due < soonest:
                soonest = due
        if vehicle.program.scheduled:
            soonest = min(soonest, self._timetable.next_edge(frontier, vehicle.program.scheduled))
        if vehicle.sequences:
            return min(soonest, self.sequencer.next_due(vehicle))
        return soonest

    def due_at(self, vehicle: VehicleState, at: int) -> int:
        """The rules that have a timer due at exactly this instant."""
        mask = 0
        for index, alert in vehicle.alerts.items():
            if self._rules[index].due(alert) == at:
                mask |= 1 << index
        return mask

    def _fire(self, vehicle: VehicleState, at: int, left: Windows, cause: Cause, out: list[Outcome]) -> None:
        """What happens at an instant at which timers are due; `left` are the windows that a sample leaves."""
        look = Look(vehicle.memory, vehicle.vehicle_id, at)
        for index in bits(self.due_at(vehicle, at)):
            self._timer(vehicle, index, look, cause, out)
        if vehicle.sequences:
            self.sequencer.fire(vehicle, at, cause, out)
        wilted, reached = vehicle.memory.due_at(at)
        if wilted:
            vehicle.program.index.unsettle(vehicle, wilted)
        look.is_past = True
        readers = beside = 0
        for slot in wilted:
            readers |= vehicle.program.readers[slot]
            beside |= vehicle.program.readers_beside[slot]
        for limit in reached:
            readers |= vehicle.program.age_readers.get(limit, 0)
            beside |= vehicle.program.age_readers_beside.get(limit, 0)
        if left:
            readers |= self._turned(vehicle, left, at)
            for window in left:
                beside |= vehicle.program.window_readers_beside.get(window, 0)
        if vehicle.program.scheduled:
            readers |= self._timetable.edge_at(at, vehicle.program.scheduled)
        for index in bits((readers | beside) & vehicle.program.index.may_move(vehicle)):
            alert = vehicle.alerts.get(index)
            if readers >> index & 1 or (alert is not None and alert.phase is Phase.FIRING):
                self._timer(vehicle, index, look, cause, out)

    def _turned(self, vehicle: VehicleState, left: Windows, at: int) -> int:
        """The rules whose alert may be moved by samples that leave windows of their condition.

        The others, of which there are many more, are judged by generated code, as for a message. It does
        not know that an age which is reached at this very instant is exceeded: `_fire` judges those anyway.
        """
        program, doubts = vehicle.program, self._doubts
        turned = 0
        may_move = program.index.may_move(vehicle)
        for readers in program.readers_of(left):
            if (readers & may_move).bit_count() <= _FEW:
                turned |= readers & may_move
                continue
            run = program.run_of(readers)
            if run is None:
                turned |= readers
                continue
            holding = run(vehicle.memory, (), at, vehicle.vehicle_id)
            turned |= ((holding ^ vehicle.expect) | vehicle.attention) & readers
        for index, _ in doubts.errors:
            turned |= 1 << index
        doubts.errors.clear()
        doubts.clear()
        return turned

    def _timer(self, vehicle: VehicleState, index: int, look: Look, cause: Cause, out: list[Outcome]) -> None:
        rule = self._rules[index]
        alert = vehicle.alerts.get(index) or Alert()
        when = self._when(vehicle, rule, look, out)
        is_silence = cause.event_time is None
        seen = Observation(look.at, when, is_message=False, is_silence=is_silence)
        self._observe(vehicle, rule, alert, seen, cause=cause, look=look, out=out)

    def _observe(
        self,
        vehicle: VehicleState,
        rule: RunningRule,
        alert: Alert,
        seen: Observation,
        *,
        cause: Cause,
        look: Look,
        out: list[Outcome],
    ) -> None:
        """Move one alert, and report what came of it."""
        if alert.phase is Phase.FIRING:
            if not rule.is_open(seen.at):
                seen.clear = True
            elif rule.clear_when is not None:
                seen.clear = self._truth(vehicle, rule, rule.clear_when, look, out)
                if seen.clear is False and rule.goes_on(alert):
                    self._measure(vehicle, rule, alert, look, out)
                    return
            elif seen.when is not None:
                seen.clear = not seen.when
        was_resting = alert.phase is Phase.RESTING
        change = observe(alert, rule.rule, seen)
        if was_resting and alert.phase is not Phase.RESTING:
            self.began[rule.rule.name] = self.began.get(rule.rule.name, 0) + 1
        occasion = None
        if change is not None and change.ends:
            self._measure(vehicle, rule, alert, look, out)
            occasion = Occasion("resolved", alert.ended_at or 0, change.value)
        elif alert.phase is not Phase.RESTING:
            self._measure(vehicle, rule, alert, look, out)
            if change is Change.FIRED:
                alert.rung = self._rung(vehicle, rule, look, out)
                alert.id = self._new_id(vehicle, rule, alert)
                occasion = Occasion("firing", alert.fired_at, is_new=True)
            elif alert.phase is Phase.FIRING and alert.rung > 0:
                rung = self._rung(vehicle, rule, look, out)
                if rung < alert.rung:
                    alert.rung = rung
                    occasion = Occasion("severityRaised", max(seen.at, alert.fired_at))
        elif was_resting:
            if seen.when and vehicle.program.index.settled >> rule.index & 1:
                vehicle.unsettled.add(rule.index)  # it is to be judged again when the cooldown is over
            return
        vehicle.rules_changed |= 1 << rule.index
        if occasion is not None:
            self.reporter.report(vehicle, rule, alert, occasion, cause=cause, look=look, out=out)
        if alert.phase is Phase.RESTING:
            _rest(alert)
        vehicle.settle(rule.index, alert)

    def registered(
        self, vehicle: VehicleState, touched: int, at: int, cause: Cause, out: list[Outcome]
    ) -> None:
        """Observe rules because the registry says something else than before."""
        look = Look(vehicle.memory, vehicle.vehicle_id, at)
        for index in bits(touched):
            rule = self._rules[index]
            alert = vehicle.alerts.get(index) or Alert()
            when = self._when(vehicle, rule, look, out)
            seen = Observation(at, when, is_message=False, is_silence=at > vehicle.time)
            self._observe(vehicle, rule, alert, seen, cause=cause, look=look, out=out)

    def end(
        self, vehicle: VehicleState, ended: int, at: int, *, reason: Change, cause: Cause, out: list[Outcome]
    ) -> None:
        """These rules, and the sequences above them, do not concern the vehicle any more."""
        look = Look(vehicle.memory, vehicle.vehicle_id, at)
        for index in bits(ended & (1 << len(self._rules)) - 1):
            alert = vehicle.alerts.get(index)
            if alert is None:
                continue
            rule = self._rules[index]
            if end(alert, at, reason) is not None:
                occasion = Occasion("resolved", alert.ended_at or 0, reason.value)
                self.reporter.report(vehicle, rule, alert, occasion, cause=cause, look=look, out=out)
            _rest(alert)
            vehicle.rules_changed |= 1 << index
            vehicle.settle(index, alert)
        for index in list(vehicle.sequences):
            if ended >> len(self._rules) + index & 1:
                del vehicle.sequences[index]
                vehicle.sequences_changed |= 1 << index

    def open_of(self, vehicle: VehicleState) -> dict[str, Open]:
        """The alerts that fire, by their ids."""
        return {
            alert.name: Open(self._rules[index].rule.name, self._rules[index].ladder[alert.rung][0])
            for index, alert in sorted(vehicle.alerts.items())
            if alert.phase is Phase.FIRING
        }

    def drop(self, vehicle: VehicleState, name: str) -> None:
        """The alert of this id goes on elsewhere: nothing is told of it here any more."""
        for index, alert in list(vehicle.alerts.items()):
            if alert.phase is Phase.FIRING and alert.name == name:
                del vehicle.alerts[index]

    def announce(
        self, vehicle: VehicleState, others: Ongoing, at: int, cause: Cause, out: list[Outcome]
    ) -> None:
        """Act for the vehicle in place of another set: tell what fires, unless it is known as it is.

        Of what is pending the other set may have told already, under the id that it will have here.
        """
        look, known = Look(vehicle.memory, vehicle.vehicle_id, at), others.open
        for index, alert in sorted(vehicle.alerts.items()):
            alert.records = max(alert.records, first_record(others.revision))
            vehicle.rules_changed |= 1 << index
            if alert.phase is not Phase.FIRING:
                continue
            rule = self._rules[index]
            occasion = Occasion("firing", alert.fired_at, is_new=alert.name not in known)
            if known.get(alert.name) != Open(rule.rule.name, rule.ladder[alert.rung][0]):
                self.reporter.report(vehicle, rule, alert, occasion, cause=cause, look=look, out=out)

    def _new_id(self, vehicle: VehicleState, rule: RunningRule, alert: Alert) -> bytes:
        lineage = f"{rule.rule.name}@{rule.rule.lineage}"
        return alert_id(lineage, vehicle.vehicle_id, alert.since, alert.ordinal).bytes

    def _when(self, vehicle: VehicleState, rule: RunningRule, look: Look, out: list[Outcome]) -> bool | None:
        """The condition of a rule, which is false outside its schedule."""
        return rule.is_open(look.at) and self._truth(vehicle, rule, rule.when, look, out)

    def _truth(
        self, vehicle: VehicleState, rule: RunningRule, condition: Expression, look: Look, out: list[Outcome]
    ) -> bool | None:
        try:
            return condition.truth(look)
        except Exception as error:
            out.append(failure(rule, vehicle, look.at, error))
            return None

    def _rung(self, vehicle: VehicleState, rule: RunningRule, look: Look, out: list[Outcome]) -> int:
        """The first step of the ladder that holds; the last one where none does."""
        for place, (_, condition) in enumerate(rule.ladder):
            if condition is None or self._truth(vehicle, rule, condition, look, out):
                return place
        return len(rule.ladder) - 1

    def _measure(
        self, vehicle: VehicleState, rule: RunningRule, alert: Alert, look: Look, out: list[Outcome]
    ) -> None:
        """Follow the alert's value and its peak; what is unknown leaves them as they are."""
        if rule.value is None:
            return
        if rule.value.slot is not None:
            value = look.memory.values[rule.value.slot]
        else:
            try:
                value = rule.value.value(look)
            except Exception as error:
                out.append(failure(rule, vehicle, look.at, error))
                return
        if value is UNKNOWN or value != value:
            return  # not a number: neither a value to show nor a peak
        if value != alert.value or type(value) is not type(alert.value):
            alert.value = value
            vehicle.rules_changed |= 1 << rule.index
        if isinstance(value, float | int) and not isinstance(value, bool):
            peak = alert.peak
            if peak is None or (value < peak if rule.rule.lowest else value > peak):
                alert.peak = value


def _rest(alert: Alert) -> None:
    """What the next alert of the rule begins without."""
    alert.value = alert.peak = None
    alert.id = b""
    alert.records = 0
