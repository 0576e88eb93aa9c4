"""vehicle.telemetry to vehicle.alerts and vehicle.commands: the alert rules, folded over each vehicle.

What happens is a function of the log: the time of a message is in the message, and time without messages is
in the ticks. A vehicle's state is decoded when the vehicle speaks or one of its timers is due, so that taking
a partition over costs little more than reading its changelog.
"""

from collections.abc import Sequence

import msgspec
import orjson

from pipeline.process.envelope import headers
from pipeline.process.partitioning import partition_of
from pipeline.runtime import Output, Record
from pipeline.stages.clocks import Clocks
from pipeline.stages.dead_letters import dead_letter
from pipeline.stages.deadlines import Deadlines
from pipeline.stages.telemetry import decode_telemetry
from rules import Engine, Event, VehicleState
from rules.engine.outcomes import AlertRecord, CommandRecord, Outcome, PublishRecord, RuleFailure

_SEPARATOR = b"\0"
# A part of a vehicle's state that is not the engine's: what the registry says of it.
_REGISTRY = "@registry"


class Alerts:
    """One partition of the stage: its vehicles, their timers, its clocks."""

    def __init__(self, engine: Engine, partition: int, partitions: int) -> None:
        self._engine = engine
        self._partition = partition
        self._partitions = partitions
        self._clocks = Clocks()
        self._deadlines = Deadlines()
        self._vehicles: dict[str, VehicleState] = {}
        self._packed: dict[str, dict[str, bytes]] = {}
        self._touched: set[str] = set()
        self._registry: dict[str, bytes | None] = {}
        self.counts = Counts()

    # -- state ---------------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        """A changelog record: vehicle id, zero byte, name of the part; the part as the engine packed it."""
        vehicle, _, part = key.rpartition(_SEPARATOR)
        self._packed.setdefault(vehicle.decode(), {})[part.decode()] = value

    def restored(self, clock: bytes | None) -> None:
        """All records are in: the clocks stand where the marker says, timers are armed."""
        if clock:
            self._clocks = Clocks.unpack(clock)
        for vehicle_id, parts in self._packed.items():
            self._deadlines.arm(vehicle_id, self._engine.deadline_of(parts))

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        changed: list[tuple[bytes, bytes | None]] = []
        for vehicle_id in self._touched:
            prefix = vehicle_id.encode() + _SEPARATOR
            for part, packed in self._engine.changed(self._vehicles[vehicle_id]).items():
                changed.append((prefix + part.encode(), packed))
        self._touched.clear()
        for vehicle_id, packed in self._registry.items():
            changed.append((vehicle_id.encode() + _SEPARATOR + _REGISTRY.encode(), packed))
        self._registry.clear()
        self.counts.flush()
        return changed

    def clock(self) -> bytes:
        return self._clocks.pack()

    def _vehicle(self, vehicle_id: str) -> VehicleState:
        vehicle = self._vehicles.get(vehicle_id)
        if vehicle is None:
            parts = self._packed.pop(vehicle_id, None)
            if parts:
                vehicle = self._engine.restore(vehicle_id, parts)
            else:
                vehicle = self._engine.new_vehicle(vehicle_id)
            self._vehicles[vehicle_id] = vehicle
        return vehicle
