"""A stage over vehicles: telemetry, ticks and the registry of one partition, folded into what rules say.

What happens is a function of the log: the time of a message is in the message, and time without messages is
in the ticks. A vehicle's state is decoded when the vehicle speaks or one of its timers is due, so that taking
a partition over costs little more than reading its changelog.
"""

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from pipeline.runtime.dead_letters import dead_letter
from pipeline.runtime.stage import Output, Record
from pipeline.stages.clocks import Clocks
from pipeline.stages.deadlines import Deadlines
from pipeline.stages.failing import Failing
from pipeline.stages.firing import Firing, PartitionFiring
from pipeline.stages.migration import Migration
from pipeline.stages.outcomes import Outputs
from pipeline.stages.passage import Moment
from pipeline.stages.registry import decode_registration
from pipeline.stages.telemetry import CAUSE, UNSEEN, decode_telemetry
from pipeline.stages.vehicle_ids import vehicle_id_problem
from pipeline.stages.versions import Pinned, Version, Versions
from rules import Event
from rules.engine import NOTHING, Fold, Registration, RegistrationError, RuleFailure

S = TypeVar("S")
_SEPARATOR = b"\0"
# Parts of a vehicle's state that are not the engine's: what the registry says of it, and the revision that
# the state is of, where it was ahead of the partition's when it was written.
_REGISTRY = "@registry"
_REVISION = "@revision"
_MIGRATED_TOGETHER = 20
"""A step of a few milliseconds, with 10,000 rules of some 30 ms."""


class Counts(Protocol):
    """The metrics of a stage, shared by its partitions."""

    def heard(self, events: int, newest: int, received: int) -> None:
        """A batch was evaluated: its telemetry records, their newest event time, the partition's clock."""

    def happened(self, outcome: Any) -> None:
        """A rule brought something about."""

    def flush(self) -> None:
        """A checkpoint is taken: tell Prometheus."""


class Writer(Protocol):
    """Writes what came of an event."""

    def output(self, outcome: Any, received: int) -> Output | None:
        """The record; None for what is no record. `received` is the partition's clock."""


class VehicleLogic(Generic[S]):
    """One partition of a stage: its vehicles, their timers, its clocks."""

    def __init__(
        self,
        stage: str,
        fold: Fold[S],
        counts: Counts,
        writer: Writer | None = None,
        versions: Versions[S] | Pinned[S] | None = None,
    ) -> None:
        """With `versions` the fold follows their current one, between two batches."""
        self._stage = stage
        self._fold = fold if versions is None else versions.current.fold
        self._counts = counts
        self._versions = versions
        self._migration: Migration[S] | None = None
        """While the vehicles go from one revision of the rules to another."""
        self._ahead: dict[str, Version[S]] = {}
        """Vehicles whose state is of a later revision than the partition's: another worker left them so."""
        self._firing = PartitionFiring(Firing() if versions is None else versions.firing)
        self._failing = Failing() if versions is None else versions.failing
        self._is_counted = False
        self._marks: dict[str, int] = {}
        """Of vehicles whose state says which revision it is of, this revision."""
        self._outputs: Writer = writer or Outputs(stage)
        self._clocks = Clocks(revision=0 if versions is None else versions.current.revision)
        self._deadlines = Deadlines()
        self._vehicles: dict[str, S] = {}
        self._packed: dict[str, dict[str, bytes]] = {}
        self._touched: set[str] = set()
        self._registered: dict[str, Registration] = {}
        """Of the vehicles in `_vehicles`, those that the registry has."""
        self._changed: dict[bytes, bytes | None] = {}
        """State records beside those of `_touched`: registrations, and what forgotten vehicles had."""
        self._outcomes: list[Any] = []

    # -- state ---------------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        """A changelog record: vehicle id, zero byte, name of the part; the part as the engine packed it."""
        vehicle, _, part = key.rpartition(_SEPARATOR)
        self._packed.setdefault(vehicle.decode(), {})[part.decode()] = value

    def restored(self, clock: bytes | None) -> None:
        """All records are in: the clocks stand where the marker says, timers are armed."""
        if clock:
            self._clocks = Clocks.unpack(clock)
            if self._migration is None:  # one that was parked goes on with it
                self._stand_at(self._clocks.revision)
        for vehicle_id, parts in self._packed.items():
            fold = self._fold
            mark = parts.get(_REVISION)
            if mark is not None:
                revision = self._marks[vehicle_id] = int(mark)
                if self._versions is not None and revision > self._clocks.revision:
                    version = self._ahead[vehicle_id] = self._versions.version(revision)
                    fold = version.fold
            self._deadlines.arm(vehicle_id, fold.deadline_of(parts))
            if not self._is_counted:
                self._firing.restored(fold.firing_of(parts))
        self._is_counted = True
        self._firing.at_work()

    def left(self) -> None:
        """The partition is another worker's from now on, or begins anew."""
        self._firing.left()

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        for vehicle_id in self._touched:
            self._gather(vehicle_id, self._vehicles[vehicle_id])
        self._touched.clear()
        changed = list(self._changed.items())
        self._changed.clear()
        self._counts.flush()
        return changed

    def _gather(self, vehicle_id: str, vehicle: S) -> None:
        prefix = vehicle_id.encode() + _SEPARATOR
        for part, packed in self._fold.changed(vehicle).items():
            self._changed[prefix + part.encode()] = packed
        if self._migration is not None:
            self._mark(vehicle_id, self._migration.after.revision)

    def _mark(self, vehicle_id: str, revision: int) -> None:
        """The vehicle's state is of this revision already, while that of others is not.

        Of a state that has only been brought over, and is in the form that it had, this need not be known:
        it is brought over once more after a crash, which changes nothing.
        """
        if self._marks.get(vehicle_id) != revision:
            self._marks[vehicle_id] = revision
            self._changed[vehicle_id.encode() + _SEPARATOR + _REVISION.encode()] = str(revision).encode()

    def _keep(self, vehicle_id: str, known: Registration | None) -> None:
        key = vehicle_id.encode() + _SEPARATOR + _REGISTRY.encode()
        self._changed[key] = None if known is None else known.pack()

    def clock(self) -> bytes:
        return self._clocks.pack()

    def _vehicle(self, vehicle_id: str) -> S:
        if self._migration is not None:
            self._migrate(vehicle_id)
        vehicle = self._vehicles.get(vehicle_id)
        if vehicle is None:
            parts = self._packed.pop(vehicle_id, None)
            if parts is None:
                vehicle = self._fold.new_vehicle(vehicle_id)
            else:
                parts.pop(_REVISION, None)
                packed = parts.pop(_REGISTRY, None)
                known = NOTHING if packed is None else Registration.unpack(packed)
                if packed is not None:
                    self._registered[vehicle_id] = known
                vehicle = self._fold.restore(vehicle_id, parts, known)
            self._vehicles[vehicle_id] = vehicle
        return vehicle

    # -- revisions -----------------------------------------------------------------------------------------

    def _stand_at(self, revision: int) -> None:
        """The state is of this revision. Raises NotYet where this worker has not compiled it."""
        if self._versions is not None:
            self._fold = self._versions.version(revision).fold

    def _follow(self, versions: Versions[S] | Pinned[S]) -> None:
        """Swap to the current revision, whole; then bring over some vehicles at each batch.

        Some at once: a worker that dies after every batch gets on nevertheless.
        """
        if self._migration is None and versions.current.revision != self._clocks.revision:
            self._swap(versions.version(self._clocks.revision), versions.current)
        migration = self._migration
        if migration is None:
            return
        for vehicle_id in migration.next(_MIGRATED_TOGETHER):
            self._migrate(vehicle_id)
        if not migration.waiting:
            self._migration = None
            self._ahead = {}
            self._clocks.revision = migration.after.revision

    def _swap(self, before: Version[S], after: Version[S]) -> None:
        for vehicle_id in self._touched:
            self._gather(vehicle_id, self._vehicles[vehicle_id])
        self._touched.clear()
        vehicles, self._vehicles = self._vehicles, {}
        self._migration = Migration(before, after, vehicles, [*vehicles, *self._packed], self._ahead)
        self._fold = after.fold

    def _migrate(self, vehicle_id: str) -> None:
        """Bring one vehicle over, unless it has been: what is gone ends under the rules that it was of."""
        migration = self._migration
        if migration is None or not migration.take(vehicle_id):
            return
        passage = migration.passage(vehicle_id)
        if passage is None:
            return
        state = migration.vehicles.pop(vehicle_id, None)
        parts = {} if state is not None else dict(self._packed[vehicle_id])
        parts.pop(_REVISION, None)
        packed = parts.pop(_REGISTRY, None)
        known = NOTHING if packed is None else Registration.unpack(packed)
        known = self._registered.get(vehicle_id, known)
        moment = Moment(self._clocks.live, self._clocks.received, migration.after.revision)
        moved = passage.move(vehicle_id, state, parts, known, moment, self._outcomes)
        for part, value in moved.changed.items():
            self._changed[vehicle_id.encode() + _SEPARATOR + part.encode()] = value
        if moved.is_marked:
            self._mark(vehicle_id, migration.after.revision)
        self._deadlines.arm(vehicle_id, self._fold.next_deadline(moved.state))
        if state is not None:
            self._vehicles[vehicle_id] = moved.state
        else:
            self._packed[vehicle_id] = moved.parts if packed is None else {**moved.parts, _REGISTRY: packed}

    # -- records -------------------------------------------------------------------------------------------

    def process(self, topic: str, records: Sequence[Record], out: list[Output]) -> None:
        if self._versions is not None:
            self._follow(self._versions)
            self._write(out)
        if topic == "vehicle.registry":
            for record in records:
                self._register(record, out)
                self._write(out)
            return
        events = newest = 0
        for record in records:
            if record.key is None:
                if self._clocks.tick(record.timestamp):
                    self._advance()
            elif record.value is None:
                self._forget(record)
            else:
                instant = self._hear(record, out)
                if instant is not None:
                    events += 1
                    if instant > newest:
                        newest = instant
            if self._outcomes:
                self._write(out)
        self._counts.heard(events, newest, self._clocks.received)

    def _hear(self, record: Record, out: list[Output]) -> int | None:
        """Evaluate a telemetry record. Its event time; None for one that cannot be read."""
        try:
            telemetry = decode_telemetry(record.value or b"")
            instant = telemetry.instant
        except (msgspec.DecodeError, ValueError) as error:
            out.append(dead_letter(record, self._stage, "telemetry-undecodable", str(error)))
            return None
        vehicle_id = telemetry.vehicle_id
        if vehicle_id.encode() != record.key:
            reason = f"the record is about {vehicle_id[:100]!r}, and its key is another vehicle's"
            out.append(dead_letter(record, self._stage, "vehicle-id-differs", reason))
            return None
        clocks = self._clocks
        received_at = record.timestamp
        clocks.hear(received_at)
        vehicle = self._vehicles.get(vehicle_id) or self._vehicle(vehicle_id)
        fix = telemetry.position
        position = None if fix is None else fix.place
        self._fold.process(
            vehicle, Event(instant, received_at, telemetry.signals, position), clocks.live, self._outcomes
        )
        self._touched.add(vehicle_id)
        self._deadlines.arm(vehicle_id, self._fold.next_deadline(vehicle))
        return instant

    def _advance(self) -> None:
        """Fire what silence has made due, the earliest first."""
        clocks = self._clocks
        for vehicle_id in self._deadlines.passed(clocks.live, self._deadline):
            vehicle = self._vehicle(vehicle_id)
            self._fold.advance(vehicle, clocks.live, clocks.received, self._outcomes)
            self._touched.add(vehicle_id)
            self._deadlines.arm(vehicle_id, self._fold.next_deadline(vehicle))

    def _deadline(self, vehicle_id: str) -> int | None:
        return self._fold.next_deadline(self._vehicle(vehicle_id))

    def _register(self, record: Record, out: list[Output]) -> None:
        """Keep what the registry says of a vehicle with its state; of a wrong record nothing.

        A vehicle that leaves the registry is forgotten. It is forgotten only once where a null in telemetry
        says so too, in whichever order the two come.
        """
        try:
            problem = vehicle_id_problem(record.key or b"")
            if problem is not None:
                raise ValueError(problem)
            vehicle_id = (record.key or b"").decode()
            if record.value is None:
                known = None
            else:
                known = decode_registration(record.value, vehicle_id, record.timestamp)
        except (msgspec.DecodeError, RegistrationError, ValueError) as error:
            out.append(dead_letter(record, self._stage, "registry-invalid", str(error)))
            return
        if known is not None:
            self._say(vehicle_id, known)
        elif self._is_known(vehicle_id):
            vehicle = self._vehicle(vehicle_id)
            if vehicle_id in self._registered:
                self._forgo(vehicle_id, vehicle, record.timestamp)

    def _say(self, vehicle_id: str, known: Registration) -> None:
        """The registry says this of a vehicle, which may be one that has never spoken."""
        self._keep(vehicle_id, known)
        vehicle = self._vehicle(vehicle_id)
        received = max(self._clocks.received, known.at)
        self._fold.register(vehicle, known, self._clocks.live, received, self._outcomes)
        self._gather(vehicle_id, vehicle)
        if self._fold.snapshot(vehicle):
            self._registered[vehicle_id] = known
            self._deadlines.arm(vehicle_id, self._fold.next_deadline(vehicle))
        else:
            self._pack(vehicle_id, known)

    def _pack(self, vehicle_id: str, known: Registration) -> None:
        """Of a vehicle that has no state a few bytes are kept until it speaks."""
        del self._vehicles[vehicle_id]
        self._touched.discard(vehicle_id)
        self._registered.pop(vehicle_id, None)
        self._packed[vehicle_id] = {_REGISTRY: known.pack()}

    def _forget(self, record: Record) -> None:
        """A null in the telemetry: the vehicle is forgotten, and what the registry said before it.

        Unless nobody asked for it: what the registry says waits for the vehicle to come back.
        """
        vehicle_id = (record.key or b"").decode("utf-8", "replace")
        if not self._is_known(vehicle_id):
            return
        vehicle = self._vehicle(vehicle_id)
        known = self._registered.get(vehicle_id)
        self._forgo(vehicle_id, vehicle, record.timestamp)
        if known is None:
            return
        if (CAUSE, UNSEEN) in ((name, content) for name, content in record.headers):
            self._keep(vehicle_id, known)
            self._packed[vehicle_id] = {_REGISTRY: known.pack()}
        elif known.at > record.timestamp:
            self._say(vehicle_id, known)

    def _is_known(self, vehicle_id: str) -> bool:
        return (
            vehicle_id in self._vehicles
            or vehicle_id in self._packed
            or (self._migration is not None and vehicle_id in self._migration.vehicles)
        )

    def _forgo(self, vehicle_id: str, vehicle: S, at: int) -> None:
        received = max(self._clocks.received, at)
        self._fold.forget(vehicle, self._clocks.live, received, self._outcomes)
        self._gather(vehicle_id, vehicle)
        del self._vehicles[vehicle_id]
        self._touched.discard(vehicle_id)
        self._deadlines.forget(vehicle_id)
        if self._marks.pop(vehicle_id, None) is not None:
            self._changed[vehicle_id.encode() + _SEPARATOR + _REVISION.encode()] = None
        if self._registered.pop(vehicle_id, None) is not None:
            self._keep(vehicle_id, None)

    def _write(self, out: list[Output]) -> None:
        for outcome in self._outcomes:
            self._counts.happened(outcome)
            if isinstance(outcome, RuleFailure):
                self._failing.happened(outcome)
            else:
                self._firing.happened(outcome)
            output = self._outputs.output(outcome, self._clocks.received)
            if output is not None:
                out.append(output)
        self._outcomes.clear()
