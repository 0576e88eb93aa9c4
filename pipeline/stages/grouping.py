"""One partition of the stage `aggregations`: its vehicles, what they add to groups, and the groups at home.

Two steps in one processor. The first reads telemetry and writes partials, the second reads the partials of
all partitions and writes the groups' windows; both are state of this partition, committed with the positions
of all inputs. Neither looks at the other, so it does not matter which of two inputs is read first.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.process.partitioning import partition_of
from pipeline.runtime.dead_letters import dead_letter
from pipeline.runtime.failures import RulesChanged
from pipeline.runtime.stage import Output, Record
from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.firing import PartitionFiring
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.outcomes import Outputs
from pipeline.stages.partials import TOPIC, Clock, decode, encode_clock, encode_partial
from pipeline.stages.versions import Pinned, Version, Versions, names_gone
from rules.engine import (
    AggregationEngine,
    GroupDropped,
    GroupSample,
    Merger,
    RuleFailure,
    Sources,
    StateFormatError,
    VehicleWindows,
)
from rules.engine.shadows import SHADOW, Shadowed, shadow

STAGE = "aggregations"
_GROUPS = b"\0"
"""Before the keys of state that is no vehicle's: no vehicle's id begins so."""
_SOURCES = b"\0s"
_MERGER = b"\0m"
_CLOCKS = struct.Struct(">Bqqqqq")
_FORMAT = 2


class AggregationLogic:
    """One partition of so many. `quiet_after_ms` is how far its clock is behind what has been received."""

    def __init__(
        self,
        place: tuple[int, int],
        versions: Versions[VehicleWindows],
        counts: AggregationCounts,
        quiet_after_ms: int,
    ) -> None:
        """`place` is the partition's number, and how many there are."""
        self._partition, self._partitions = place
        self._versions, self._version = versions, versions.current
        self._next: Version[VehicleWindows] | None = None
        """What is to run once the end of what it does not have is committed."""
        self._is_left = False
        engine: Any = self._version.base.engine
        self._engine: AggregationEngine = engine
        """Of the groups: while a candidate has a share of the vehicles they stay with the stable revision."""
        self._shadows = self._version.base.rules.shadows
        self._counts = counts
        self._quiet_after = quiet_after_ms
        self._outputs = Outputs(STAGE)
        fold = self._version.fold
        self._vehicles = VehicleLogic(STAGE, fold, counts, writer=self, versions=Pinned(versions))
        self._sources = Sources(engine.rules)
        self._merger = Merger(engine.rules, engine.teller, self._partitions)
        self._firing = PartitionFiring(versions.firing)
        """Of the groups; the vehicles count theirs."""
        self._is_counted = False
        self._received = 0
        """The greatest receivedAt of the partition's telemetry and ticks."""

    # -- state ---------------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        if key.startswith(_SOURCES):
            self._sources.restore(key[2:], value)
        elif key.startswith(_MERGER):
            self._merger.restore(key[2:], value)
        else:
            self._vehicles.restore(key, value)

    def restored(self, clock: bytes | None) -> None:
        of_vehicles = None
        if clock:
            if len(clock) < _CLOCKS.size or clock[0] != _FORMAT:
                raise StateFormatError(
                    f"a partition's clocks in format {clock[:1].hex()}, known is {_FORMAT}"
                )
            _, self._received, *clocks = _CLOCKS.unpack_from(clock)
            stands, flushed, told, flushes = clocks
            self._sources.restored((stands, flushed, told, flushes))
            of_vehicles = clock[_CLOCKS.size :]
        self._merger.restored()
        if not self._is_counted:  # one that was parked has counted
            self._firing.restored(it for it in self._merger.firing() if it not in self._shadows)
        self._is_counted = True
        self._firing.at_work()
        self._vehicles.restored(of_vehicles)

    def left(self) -> None:
        """The partition is another worker's from now on, or begins anew."""
        self._firing.left()
        self._vehicles.left()

    def changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        self._is_left = self._next is not None
        changed = self._vehicles.changes()
        changed += [(_SOURCES + key, value) for key, value in self._sources.changes()]
        changed += [(_MERGER + key, value) for key, value in self._merger.changes()]
        return changed

    def clock(self) -> bytes:
        return _CLOCKS.pack(_FORMAT, self._received, *self._sources.pack()) + self._vehicles.clock()

    # -- records -------------------------------------------------------------------------------------------

    def process(self, topic: str, records: Sequence[Record], out: list[Output]) -> None:
        """Apply records. Raises RulesChanged, which begins anew with the rules that are to run now."""
        if self._versions.current is not self._version:
            self._leave(self._versions.current, out)
        if topic == TOPIC:
            for record in records:
                self._merge(record, out)
        elif topic == "vehicle.registry" or self._sources.is_empty:
            self._vehicles.process(topic, records, out)
        else:
            for record in records:
                if record.timestamp > self._received:
                    self._received = record.timestamp
                    self._pass_time(out)
                self._vehicles.process(topic, (record,), out)

    def _leave(self, following: Version[VehicleWindows], out: list[Output]) -> None:
        """End the groups' alerts of rules that are no more; when that is committed, begin anew."""
        if self._next is following:
            if self._is_left:
                raise RulesChanged(f"the rules are at revision {following.revision}")
            return
        self._next, self._is_left = following, False
        outcomes: list[object] = []
        gone = names_gone(self._version.base, following.base)
        self._merger.retire(gone, self._received, outcomes)
        self._tell(outcomes, self._received, out)

    def _pass_time(self, out: list[Output]) -> None:
        """Send what has changed, and after it tell the clock to everybody."""
        received = self._received
        partials, clock = self._sources.pass_time(received - self._quiet_after)
        for partial in partials:
            key = partial.key.encode()
            value = encode_partial(self._partition, received, partial)
            out.append(Output(TOPIC, key, value, (), received, partition_of(key, self._partitions)))
        if clock is not None:
            value = encode_clock(Clock(self._partition, clock, received))
            out += [Output(TOPIC, None, value, (), received, other) for other in range(self._partitions)]

    def output(self, outcome: object, received: int) -> Output | None:
        """What the vehicles bring about: samples for groups are kept, everything else is written."""
        if isinstance(outcome, GroupSample):
            counted = self._sources.add(outcome)
            if counted is True:
                return None
            if isinstance(counted, GroupDropped):
                outcome = counted
            else:
                late = self._engine.too_late(outcome.vehicle_id, outcome.rule, outcome.event)
                outcome = Shadowed(late, SHADOW) if late.rule in self._shadows else late
            self._counts.happened(outcome)
        return self._outputs.output(outcome, received)

    def _merge(self, record: Record, out: list[Output]) -> None:
        """Take what a source says, and write what comes of it."""
        try:
            told = decode(record.value or b"")
        except ValueError as error:
            out.append(dead_letter(record, STAGE, "partial-undecodable", str(error)))
            return
        outcomes: list[object] = []
        if isinstance(told, Clock):
            received = told.received_at
            self._merger.pass_time(told.source, told.clock, received, outcomes)
        else:
            source, received, partial = told
            self._merger.take(source, partial, received, outcomes)
        self._tell(outcomes, received, out)

    def _tell(self, outcomes: list[object], received: int, out: list[Output]) -> None:
        if self._shadows:
            shadow(outcomes, 0, self._shadows)
        for outcome in outcomes:
            self._counts.happened(outcome)
            if isinstance(outcome, RuleFailure):
                self._versions.failing.happened(outcome)
            else:
                self._firing.happened(outcome)
            output = self._outputs.output(outcome, received)
            if output is not None:
                out.append(output)
