"""Sequences in the engine: which of them a message concerns, and the records of what they found.

A message concerns a sequence if it carries a signal that a condition of one of its steps reads; for others
it has not happened, not even under `strict`. Conditions are judged at messages and, where a step begins by
timer, at that instant; each at most once.
"""

from collections.abc import Callable, Sequence

from rules.engine.alerts import Alert, Phase
from rules.engine.memory import FOREVER, Look
from rules.engine.outcomes import Outcome, RuleFailure, SequenceFacts, alert_id
from rules.engine.reports import Cause, Occasion, Reporter, failure
from rules.engine.running import RunningSequence
from rules.engine.sequences import MOST_PARTIALS, Ending, Matching, close, due, fire, observe
from rules.engine.vehicle import VehicleState


class Sequencer:
    """Runs the sequences of one rule set over vehicles."""

    def __init__(self, sequences: Sequence[RunningSequence], reporter: Reporter) -> None:
        self._sequences = sequences
        self._reporter = reporter
        self.began: dict[str, int] = {}
        """By rule, how often a partial match began; whoever reads it begins anew."""

    def message(
        self,
        vehicle: VehicleState,
        concerned: Sequence[int],
        carried: frozenset[int],
        cause: Cause,
        out: list[Outcome],
    ) -> None:
        """A message has been taken in that carries what these sequences read."""
        at = vehicle.time
        for index in concerned:
            sequence = self._sequences[index]
            matching = vehicle.sequences.get(index) or Matching()
            was_empty = matching.is_empty
            if sequence.schedule is not None:
                close(sequence.plan, matching, sequence.schedule.last_edge(at))
                if not sequence.schedule.is_open(at):
                    if not was_empty:
                        self._settle(vehicle, sequence, matching)
                    continue
            look = Look(vehicle.memory, vehicle.vehicle_id, at, carried)
            holds = self._holds(vehicle, sequence, look, out)
            endings, dropped, begins = observe(sequence.plan, matching, at, holds)
            if was_empty and matching.is_empty:
                continue
            name = sequence.pattern.name
            if begins:
                self.began[name] = self.began.get(name, 0) + 1
            if dropped:
                message = f"more than {MOST_PARTIALS} partial matches: the oldest {dropped} dropped"
                out.append(RuleFailure(name, vehicle.vehicle_id, at, message))
            self._tell(vehicle, sequence, endings, look, cause, out)
            self._settle(vehicle, sequence, matching)

    def fire(self, vehicle: VehicleState, at: int, cause: Cause, out: list[Outcome]) -> None:
        """Time has passed an instant: what is due then happens."""
        for index in sorted(vehicle.sequences):
            sequence, matching = self._sequences[index], vehicle.sequences[index]
            instant = due(sequence.plan, matching)
            if instant is None or instant > at:
                continue
            if sequence.schedule is not None:
                close(sequence.plan, matching, sequence.schedule.last_edge(at), at)
            look = Look(vehicle.memory, vehicle.vehicle_id, at)
            holds = self._holds(vehicle, sequence, look, out)
            endings = fire(sequence.plan, matching, at, holds)
            self._tell(vehicle, sequence, endings, look, cause, out)
            self._settle(vehicle, sequence, matching)

    def next_due(self, vehicle: VehicleState) -> int:
        """The first instant at which a timer of a sequence is due; FOREVER if none is."""
        soonest = FOREVER
        for index, matching in vehicle.sequences.items():
            instant = due(self._sequences[index].plan, matching)
            if instant is not None and instant < soonest:
                soonest = instant
        return soonest

    def _holds(
        self, vehicle: VehicleState, sequence: RunningSequence, look: Look, out: list[Outcome]
    ) -> Callable[[int], bool]:
        known: dict[int, bool] = {}

        def holds(step: int) -> bool:
            if step not in known:
                try:
                    known[step] = sequence.conditions[step].truth(look) is True
                except Exception as error:
                    out.append(failure(sequence.match, vehicle, look.at, error))
                    known[step] = False
            return known[step]

        return holds

    def _settle(self, vehicle: VehicleState, sequence: RunningSequence, matching: Matching) -> None:
        if matching.is_empty:
            vehicle.sequences.pop(sequence.index, None)
        else:
            vehicle.sequences[sequence.index] = matching
        vehicle.sequences_changed |= 1 << sequence.index
        instant = due(sequence.plan, matching)
        if instant is not None and instant < vehicle.due:
            vehicle.due = instant

    def _tell(
        self,
        vehicle: VehicleState,
        sequence: RunningSequence,
        endings: Sequence[Ending],
        look: Look,
        cause: Cause,
        out: list[Outcome],
    ) -> None:
        """An ending is an event: its alert fires and is resolved at the same instant."""
        for ending in endings:
            face = sequence.match if ending.is_match else sequence.timeout
            if face is None:
                continue
            lineage = f"sequence/{sequence.pattern.name}@{sequence.pattern.lineage}/{ending.at}"
            identity = alert_id(lineage, vehicle.vehicle_id, ending.started_at, ending.ordinal)
            alert = Alert(
                phase=Phase.FIRING,
                since=ending.started_at,
                id=identity.bytes,
                fired_at=ending.at,
                ended_at=ending.at,
            )
            steps = tuple((sequence.names[mark.step], mark.first_at, mark.last_at) for mark in ending.marks)
            facts = SequenceFacts(ending.is_match, steps)
            for upon, reason in (("firing", None), ("resolved", "cleared")):
                occasion = Occasion(upon, ending.at, reason, is_new=upon == "firing")
                self._reporter.report(
                    vehicle, face, alert, occasion, cause=cause, look=look, out=out, sequence=facts
                )
