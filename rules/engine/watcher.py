"""Silences in the engine: whom each message is heard of, and the records of who fell silent.

An ear is what a rule listens for: any message, or one with certain signals; rules that listen for the same
share it. All ears of a vehicle are open from its first message on, so a signal that never comes is absent
too. Late messages are heard: this is about arrival.
"""

from collections.abc import Collection, Sequence

from rules.engine.absences import Heard, Now, Told, due, end, hear, means_nothing, pass_time
from rules.engine.alerts import Change, Phase
from rules.engine.fold import Ongoing, Open
from rules.engine.memory import FOREVER, NEVER, Look
from rules.engine.outcomes import Outcome, alert_id
from rules.engine.reports import Cause, Occasion, Reporter, failure, first_record
from rules.engine.running import RunningAbsence
from rules.engine.vehicle import VehicleState
from rules.language.values import UNKNOWN


class Watcher:
    """Runs the rules about silence of one rule set over vehicles."""

    def __init__(self, absences: Sequence[RunningAbsence], reporter: Reporter) -> None:
        self._absences = absences
        self._reporter = reporter
        self.began: dict[str, int] = {}
        """By rule, how often a silence was told; whoever reads it begins anew."""

    def begin(self, vehicle: VehicleState, now: Now) -> None:
        """The first that is known of a vehicle: every ear is open from here on."""
        vehicle.heard.update((ear, Heard(now.received, now.live)) for ear, _ in vehicle.program.ears)

    def message(
        self,
        vehicle: VehicleState,
        ears: Collection[int],
        now: Now,
        event_time: int,
        out: list[Outcome],
    ) -> None:
        """A message has been taken in that these ears have heard."""
        heard = vehicle.heard
        for ear in ears:
            before = heard[ear].at
            heard[ear] = Heard(now.received if now.received > before else before, now.live)
        if vehicle.absences:
            vehicle.quiet_until = NEVER
            look = Look(vehicle.memory, vehicle.vehicle_id, vehicle.time)
            self._returned(vehicle, ears, now, Cause(now.received, event_time), look, out)

    def _returned(
        self,
        vehicle: VehicleState,
        ears: Collection[int],
        now: Now,
        cause: Cause,
        look: Look,
        out: list[Outcome],
    ) -> None:
        for index in sorted(vehicle.absences):
            absence, told = self._absences[index], vehicle.absences[index]
            if absence.ear not in ears:
                continue
            change = hear(absence.rule, told, now)
            if change is not None:
                self._tell(vehicle, absence, told, change, cause=cause, look=look, out=out)
            if means_nothing(absence.rule, vehicle.heard[absence.ear], told, now.live):
                del vehicle.absences[index]
                vehicle.absences_changed |= 1 << index

    def advance(self, vehicle: VehicleState, now: Now, at: int, out: list[Outcome]) -> None:
        """Tell what the clocks have passed; `at` is the vehicle's own clock, which texts see."""
        vehicle.quiet_until = self.next_deadline(vehicle)
        if vehicle.quiet_until >= now.live:
            return
        look = Look(vehicle.memory, vehicle.vehicle_id, at)
        for absence in vehicle.program.absences:
            heard = vehicle.heard[absence.ear]
            told = vehicle.absences.get(absence.index) or Told()
            while (change := pass_time(absence.rule, heard, told, now)) is not None:
                vehicle.absences[absence.index] = told
                self._tell(
                    vehicle, absence, told, change, cause=Cause(now.received, None), look=look, out=out
                )

    def end(
        self,
        vehicle: VehicleState,
        ended: int,
        now: Now,
        at: int,
        *,
        reason: Change,
        cause: Cause,
        out: list[Outcome],
    ) -> None:
        """These rules (a bit for each silence) do not concern the vehicle any more."""
        look = Look(vehicle.memory, vehicle.vehicle_id, at)
        for index in sorted(vehicle.absences):
            told = vehicle.absences[index]
            if not ended >> index & 1 or told.alert.phase is not Phase.FIRING:
                continue
            end(told, now.received, now.live, reason)
            self._tell(vehicle, self._absences[index], told, reason, cause=cause, look=look, out=out)

    def open_of(self, vehicle: VehicleState) -> dict[str, Open]:
        """The silences that fire, by their ids."""
        return {
            told.alert.name: Open(
                self._absences[index].rule.name, self._absences[index].ladder[told.alert.rung][0]
            )
            for index, told in sorted(vehicle.absences.items())
            if told.alert.phase is Phase.FIRING
        }

    def drop(self, vehicle: VehicleState, name: str) -> None:
        """The silence of this id goes on elsewhere: nothing is told of it here any more."""
        for index, told in list(vehicle.absences.items()):
            if told.alert.phase is Phase.FIRING and told.alert.name == name:
                del vehicle.absences[index]

    def announce(
        self, vehicle: VehicleState, others: Ongoing, at: int, cause: Cause, out: list[Outcome]
    ) -> None:
        """Act for the vehicle in place of another set: tell silences that fire, unless known as they are.

        Of a silence that goes on the other set may have told already, under the id that it will have here.
        """
        look, known = Look(vehicle.memory, vehicle.vehicle_id, at), others.open
        for absence in vehicle.program.absences if vehicle.heard else ():
            told = vehicle.absences.setdefault(absence.index, Told())
            alert = told.alert
            alert.records = max(alert.records, first_record(others.revision))
            vehicle.absences_changed |= 1 << absence.index
            if alert.phase is not Phase.FIRING:
                continue
            occasion = Occasion("firing", alert.fired_at, is_new=alert.name not in known)
            if known.get(alert.name) != Open(absence.rule.name, absence.ladder[alert.rung][0]):
                self._reporter.report(vehicle, absence, alert, occasion, cause=cause, look=look, out=out)

    def expect(self, vehicle: VehicleState, now: Now) -> None:
        """The registry knows a vehicle that never spoke: from the first that was said of it, it is silent."""
        if vehicle.program.ears:
            self.select(vehicle, min(vehicle.heard.values(), default=Heard(now.received, now.live)))
            vehicle.heard_changed = vehicle.is_awaited = True

    def select(self, vehicle: VehicleState, last: Heard) -> None:
        """Other rules are for the vehicle than before: an ear that opens has heard what is `last`."""
        vehicle.heard = {ear: vehicle.heard.get(ear, last) for ear, _ in vehicle.program.ears}
        vehicle.quiet_until = NEVER

    def next_deadline(self, vehicle: VehicleState) -> int:
        """The live clock after which time alone brings something about; FOREVER if nothing is awaited."""
        heard = vehicle.heard
        if not heard:
            return FOREVER
        program = vehicle.program
        if not vehicle.absences:
            return min([heard[ear].live + shortest for ear, shortest in program.ears])
        soonest = FOREVER
        for absence in program.absences:
            instant = due(absence.rule, heard[absence.ear], vehicle.absences.get(absence.index))
            if instant is not None and instant < soonest:
                soonest = instant
        return soonest

    def _tell(
        self,
        vehicle: VehicleState,
        absence: RunningAbsence,
        told: Told,
        change: Change,
        *,
        cause: Cause,
        look: Look,
        out: list[Outcome],
    ) -> None:
        vehicle.absences_changed |= 1 << absence.index
        alert = told.alert
        if change is Change.FIRED:
            name = absence.rule.name
            self.began[name] = self.began.get(name, 0) + 1
            lineage = f"absence/{name}@{absence.rule.lineage}"
            alert.id = alert_id(lineage, vehicle.vehicle_id, alert.since, alert.ordinal).bytes
            alert.rung = self._rung(vehicle, absence, look, out)
            occasion = Occasion("firing", alert.fired_at, is_new=True)
        elif change.ends:
            occasion = Occasion("resolved", alert.ended_at or 0, change.value)
        else:
            return
        self._measure(vehicle, absence, told, look, out)
        self._reporter.report(vehicle, absence, alert, occasion, cause=cause, look=look, out=out)
        if alert.phase is Phase.RESTING:
            alert.value = alert.peak = None
            alert.id = b""
            alert.records = 0

    def _rung(self, vehicle: VehicleState, absence: RunningAbsence, look: Look, out: list[Outcome]) -> int:
        """The first step of the ladder that holds; the last one where none does."""
        for place, (_, condition) in enumerate(absence.ladder):
            try:
                if condition is None or condition.truth(look):
                    return place
            except Exception as error:
                out.append(failure(absence, vehicle, look.at, error))
        return len(absence.ladder) - 1

    def _measure(
        self, vehicle: VehicleState, absence: RunningAbsence, told: Told, look: Look, out: list[Outcome]
    ) -> None:
        """The value that the author asks for, as far as it is known."""
        if absence.value is None:
            return
        try:
            value = absence.value.value(look)
        except Exception as error:
            out.append(failure(absence, vehicle, look.at, error))
            return
        if value is UNKNOWN or value != value:
            return
        alert = told.alert
        alert.value = value
        if isinstance(value, float | int) and not isinstance(value, bool):
            alert.peak = value if alert.peak is None else max(value, alert.peak)
