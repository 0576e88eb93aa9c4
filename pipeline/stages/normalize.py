"""vehicle.raw to vehicle.telemetry: payloads become checked signals, each message once.

A message becomes a telemetry record, a dead letter, or one more duplicate that was counted: nothing else, and
nothing twice. Ticks pass through, so that time goes on downstream.
"""

from collections import Counter
from collections.abc import Sequence

from pipeline.process.envelope import headers
from pipeline.process.partitioning import partition_of
from pipeline.runtime import Output, Record
from pipeline.stages.dead_letters import dead_letter
from pipeline.stages.duplicates import Memory, mark
from pipeline.stages.payloads import PayloadShape, Reader, Unusable, codec_of
from pipeline.stages.telemetry import encode_telemetry

MAX_VEHICLE_ID = 256
_FORMAT = b"\x01"


class Normalize:
    """One partition of the stage: the memory of its vehicles' last messages."""

    def __init__(self, shape: PayloadShape, partition: int, partitions: int) -> None:
        self._reader = Reader(shape)
        self._partition = partition
        self._partitions = partitions
        self._memories: dict[bytes, Memory] = {}
        self._chunks: dict[bytes, dict[int, bytes]] = {}
        self._touched: set[bytes] = set()
        self.outcomes: Counter[str] = Counter()

    @property
    def dropped(self) -> Counter[str]:
        """Signals that were dropped, by reason."""
        return self._reader.dropped

    # -- state ---------------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        """A changelog record: vehicle id, zero byte, number of the chunk; format byte, chunk."""
        if value[:1] != _FORMAT:
            raise ValueError(f"state of {key!r} has format {value[:1].hex()}, known is {_FORMAT.hex()}")
        self._chunks.setdefault(key[:-2], {})[key[-1]] = value[1:]

    def restored(self, clock: bytes | None) -> None:
        """Nothing to do: this stage has no clock, and memories are built when their vehicle speaks."""

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        changed: list[tuple[bytes, bytes | None]] = [
            (vehicle + bytes((0, chunk)), _FORMAT + marks)
            for vehicle in self._touched
            for chunk, marks in self._memories[vehicle].changes()
        ]
        self._touched.clear()
        return changed

    def clock(self) -> bytes:
        return b""

    def _memory(self, vehicle: bytes) -> Memory:
        memory = self._memories.get(vehicle)
        if memory is None:
            memory = self._memories[vehicle] = Memory.of(self._chunks.pop(vehicle, {}))
        return memory

    # -- records -------------------------------------------------------------------------------------------

    def process(self, topic: str, records: Sequence[Record], out: list[Output]) -> None:
        for record in records:
            if record.key is None and _is_tick(record):
                out.append(Output("vehicle.telemetry", None, record.value, (), record.timestamp, None))
                continue
            try:
                output = self._normalize(record)
            except Unusable as unusable:
                self.outcomes["dead_letter"] += 1
                out.append(dead_letter(record, "normalize", unusable.code, unusable.reason))
                continue
            if output is None:
                self.outcomes["duplicate"] += 1
            else:
                self.outcomes["normalized"] += 1
                out.append(output)

    def _normalize(self, record: Record) -> Output | None:
        key = record.key
        if not key:
            raise Unusable("vehicle-id-missing", "the record has no key, so no vehicle")
        memory = self._memories.get(key)
        if memory is None:
            vehicle_id = self._check_new(key)
        else:
            vehicle_id = key.decode()
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
        if memory.seen(mark(reading.instant, reading.sequence, value)):
            return None
        self._touched.add(key)
        return Output(
            "vehicle.telemetry",
            key,
            encode_telemetry(vehicle_id, reading, received_at),
            headers("vehicle.telemetry", f"{record.partition}:{record.offset}"),
            received_at,
            None,
        )

    def _check_new(self, key: bytes) -> str:
        """What has to be checked once for each vehicle. Raises Unusable."""
        if len(key) > MAX_VEHICLE_ID:
            raise Unusable(
                "vehicle-id-invalid", f"the vehicle id has {len(key)} bytes, at most {MAX_VEHICLE_ID}"
            )
        try:
            vehicle_id = key.decode()
        except UnicodeDecodeError:
            raise Unusable("vehicle-id-invalid", "the vehicle id is not UTF-8") from None
        if "\0" in vehicle_id:
            raise Unusable("vehicle-id-invalid", "the vehicle id holds a zero character")
        right = partition_of(key, self._partitions)
        if right != self._partition:
            raise Unusable(
                "wrong-partition",
                f"the vehicle belongs to partition {right}, the record is on {self._partition}",
            )
        return vehicle_id


def _is_tick(record: Record) -> bool:
    return record.value is not None and record.value.startswith(b'{"receivedAt"')
