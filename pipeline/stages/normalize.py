"""vehicle.raw to vehicle.telemetry: payloads become checked signals, each message once.

A message becomes a telemetry record, a dead letter, or one more duplicate that was counted: nothing else, and
nothing twice. Ticks pass through, so that time goes on downstream.

A null for a vehicle makes it forgotten: here, and in every rule stage, since it is passed on. The same null
is written here for a vehicle that was unseen for its time to live, so that who is forgotten, and between
which two messages, stands in the log that all rule stages read.
"""

from collections import Counter
from collections.abc import Sequence

from prometheus_client import Counter as Metric

from pipeline.process import Context, Process
from pipeline.process.envelope import Envelope
from pipeline.runtime import run_stage
from pipeline.runtime.dead_letters import dead_letter
from pipeline.runtime.stage import Output, Record, Stage
from pipeline.stages.documents import load_catalog
from pipeline.stages.duplicates import Memory, mark
from pipeline.stages.live_catalog import Shape, live_catalog
from pipeline.stages.payloads import PayloadShape, Reader, Unusable, codec_of, shape_of
from pipeline.stages.reordering import HELD, Held, Reordering
from pipeline.stages.settings import NormalizeSettings
from pipeline.stages.telemetry import CAUSE, UNSEEN, encode_telemetry
from pipeline.stages.unseen import Unseen
from pipeline.stages.vehicle_ids import vehicle_id_problem

_FORMAT = b"\x01"
MESSAGES = Metric("telltale_normalize_messages_total", "Messages by what became of them", ["outcome"])
DROPPED = Metric("telltale_normalize_signals_dropped_total", "Signals that were not used", ["reason"])
MOVED = Metric("telltale_normalize_messages_reordered_total", "Messages that were put before later ones")
FORGOTTEN = Metric("telltale_normalize_vehicles_forgotten_total", "Vehicles that were forgotten", ["cause"])
_SEEN = b"@seen"
_ASKED = b"asked"
_ENVELOPE = Envelope("vehicle.telemetry", "normalize")


class Normalize:
    """One partition of the stage: the memory of its vehicles' last messages, and when they were seen."""

    def __init__(
        self, shape: PayloadShape | Shape, vehicle_ttl_ms: int = 0, reorder_within_ms: int = 0
    ) -> None:
        self._shape = shape if isinstance(shape, Shape) else Shape(shape)
        self._read_by = self._shape.current
        self._reader = Reader(self._read_by)
        self._reordering = Reordering(reorder_within_ms)
        self._unseen = Unseen(vehicle_ttl_ms)
        self._memories: dict[bytes, Memory] = {}
        self._chunks: dict[bytes, dict[int, bytes]] = {}
        self._touched: set[bytes] = set()
        self._outcomes: Counter[str] = Counter()

    # -- state ---------------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        """A changelog record: vehicle id, zero byte, number of the chunk or `@seen`; format byte, content."""
        vehicle, _, part = key.partition(b"\0")
        if part == _SEEN:
            self._unseen.restore(vehicle, value)
            return
        if part.startswith(HELD):
            self._reordering.restore(vehicle, value)
            return
        if value[:1] != _FORMAT:
            raise ValueError(f"state of {key!r} has format {value[:1].hex()}, known is {_FORMAT.hex()}")
        self._chunks.setdefault(vehicle, {})[key[-1]] = value[1:]

    def restored(self, clock: bytes | None) -> None:
        """Memories are built when their vehicle speaks; the clock is that of messages that wait."""
        if clock:
            self._reordering.restore_clock(clock)

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        changed: list[tuple[bytes, bytes | None]] = [
            (vehicle + bytes((0, place)), None if chunk is None else _FORMAT + chunk)
            for vehicle in self._touched
            for place, chunk in self._memories[vehicle].changes()
        ]
        for vehicle in self._touched:
            if self._memories[vehicle].is_empty:
                del self._memories[vehicle]
        self._touched.clear()
        changed += [(vehicle + b"\0" + _SEEN, packed) for vehicle, packed in self._unseen.changes()]
        changed += self._reordering.changes()
        MOVED.inc(self._reordering.moved)
        self._reordering.moved = 0
        for metric, tally in ((MESSAGES, self._outcomes), (DROPPED, self._reader.dropped)):
            for label, number in tally.items():
                metric.labels(label).inc(number)
            tally.clear()
        return changed

    def clock(self) -> bytes:
        """Empty unless messages wait for others."""
        return self._reordering.packed_clock() if self._reordering.is_on else b""

    def _memory(self, vehicle: bytes) -> Memory:
        memory = self._memories.get(vehicle)
        if memory is None:
            memory = self._memories[vehicle] = Memory.of(self._chunks.pop(vehicle, {}))
        return memory

    # -- records -------------------------------------------------------------------------------------------

    def process(self, _topic: str, records: Sequence[Record], out: list[Output]) -> None:
        self._take_catalog()
        unseen, reordering = self._unseen, self._reordering
        is_reordering = reordering.is_on
        for record in records:
            if is_reordering:
                self._go_on(record.timestamp, out)
            if record.timestamp >= unseen.due:
                for vehicle in unseen.gone(record.timestamp):
                    self._forget(vehicle, record.timestamp, UNSEEN, out)
            if record.key is None and _is_tick(record):
                out.append(Output("vehicle.telemetry", None, record.value, (), record.timestamp, None))
                continue
            if record.value is None and record.key and vehicle_id_problem(record.key) is None:
                self._forget(record.key, record.timestamp, _ASKED, out)
                continue
            try:
                message = self._normalize(record)
            except Unusable as unusable:
                self._outcomes["dead_letter"] += 1
                out.append(dead_letter(record, "normalize", unusable.code, unusable.reason))
                continue
            if message is None:
                self._outcomes["duplicate"] += 1
            elif not is_reordering:
                out.append(self._telemetry(record.key or b"", message))
            else:
                vehicle = record.key or b""
                out.extend(self._telemetry(vehicle, each) for each in reordering.hold(vehicle, message))
                self._go_on(record.timestamp, out)

    def _take_catalog(self) -> None:
        """Read by the catalog that is in force, from this batch on."""
        if self._shape.current is not self._read_by:
            dropped, self._read_by = self._reader.dropped, self._shape.current
            self._reader = Reader(self._read_by)
            self._reader.dropped.update(dropped)

    def _go_on(self, at: int, out: list[Output]) -> None:
        out.extend(self._telemetry(vehicle, message) for vehicle, message in self._reordering.due(at))

    def _normalize(self, record: Record) -> Held | None:
        """What the record says; None if it is a duplicate. Raises Unusable."""
        key = record.key
        if not key:
            raise Unusable("vehicle-id-missing", "the record has no key, so no vehicle")
        memory = self._memories.get(key)
        vehicle_id = _check_vehicle(key) if memory is None else key.decode()
        value = record.value
        if not value:
            raise Unusable("payload-empty", "the payload has no bytes")
        content_type = None
        for name, content in record.headers:
            if name == "content-type":
                content_type = content.decode("ascii", "replace")
        received_at = record.timestamp
        reading = self._reader.read(value, received_at, codec_of(content_type))
        if memory is None:
            memory = self._memory(key)
        self._unseen.see(key, received_at)
        if memory.seen(mark(reading.stamp, reading.sequence, value), received_at):
            return None
        self._touched.add(key)
        return Held(
            instant=reading.instant,
            sequence=-1 if reading.sequence is None else reading.sequence,
            offset=record.offset,
            partition=record.partition,
            received_at=received_at,
            telemetry=encode_telemetry(vehicle_id, reading, received_at),
        )

    def _telemetry(self, vehicle: bytes, message: Held) -> Output:
        self._outcomes["normalized"] += 1
        identity = f"{message.partition}:{message.offset}"
        headers = _ENVELOPE.headers(identity, subject=vehicle.decode(), time_ms=message.instant)
        return Output("vehicle.telemetry", vehicle, message.telemetry, headers, message.received_at, None)

    def _forget(self, vehicle: bytes, at: int, cause: bytes, out: list[Output]) -> None:
        """Forget the vehicle, and say so to the rule stages, after all that it has said."""
        out.extend(self._telemetry(vehicle, message) for message in self._reordering.all_of(vehicle))
        self._memories[vehicle] = self._memory(vehicle).emptied()
        self._touched.add(vehicle)
        self._unseen.forget(vehicle)
        FORGOTTEN.labels(cause.decode()).inc()
        out.append(Output("vehicle.telemetry", vehicle, None, ((CAUSE, cause),), at, None))


def _check_vehicle(key: bytes) -> str:
    """The vehicle id, which has to be checked once. Raises Unusable."""
    problem = vehicle_id_problem(key)
    if problem is not None:
        raise Unusable("vehicle-id-invalid", problem)
    return key.decode()


def _is_tick(record: Record) -> bool:
    return record.value is not None and record.value.startswith(b'{"receivedAt"')


def stage(settings: NormalizeSettings, live: Shape | None = None) -> Stage:
    """The stage, with the live catalog or with that which the settings name. Raises ConfigurationError."""
    shape = Shape(shape_of(load_catalog(settings.rules))) if live is None else live
    return Stage(
        name="normalize",
        inputs=("vehicle.raw",),
        logic=lambda _partition: Normalize(shape, settings.vehicle_ttl_ms, settings.reorder_within_ms),
        outputs=("vehicle.telemetry", "vehicle.dead-letter"),
        check_keys=True,
    )


async def main(context: Context[NormalizeSettings]) -> None:
    """Run the stage until the process is asked to stop."""
    async with live_catalog(context) as shape:
        await run_stage(context, stage(context.settings, shape))


process = Process("normalize", NormalizeSettings, main, "Payloads to checked signals, each message once")
