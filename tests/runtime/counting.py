"""A stage that is easy to compute again: how often each key was seen, told with every record.

A value `poison` makes it raise; `huge` makes an output that no topic takes; `delete` forgets the key.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.runtime import Output, Stage

INPUT = "vehicle.telemetry"
OUTPUT = "vehicle.alerts"
HUGE = 3_000_000


class Counting:
    """Counts keys. Its clock is the greatest timestamp seen."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.counts: dict[bytes, int] = {}
        self._touched: set[bytes] = set()
        self._clock = 0
        self._restored = False

    def restore(self, key: bytes, value: bytes) -> None:
        assert not self._restored
        self.counts[key] = int(value)

    def restored(self, clock: bytes | None) -> None:
        self._restored = True
        if clock:
            self._clock = int(clock)

    def process(self, topic: str, records: Sequence[Any], out: list[Output]) -> None:
        assert self._restored
        for record in records:
            self._clock = max(self._clock, record.timestamp)
            if record.value == b"poison":
                self.counts[b"spoilt"] = 1
                self._touched.add(b"spoilt")
                raise ValueError("poison")
            if record.key is None:
                continue  # a tick
            if record.value == b"delete":
                self.counts.pop(record.key, None)
                self._touched.add(record.key)
                continue
            count = self.counts.get(record.key, 0) + 1
            self.counts[record.key] = count
            self._touched.add(record.key)
            value = json.dumps({"source": f"{topic}:{record.offset}", "count": count}).encode()
            if record.value == b"huge":
                value += b" " * HUGE
            out.append(Output(OUTPUT, record.key, value, (), record.timestamp))

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        changed = [
            (key, str(self.counts[key]).encode() if key in self.counts else None) for key in self._touched
        ]
        self._touched.clear()
        return changed

    def clock(self) -> bytes:
        return str(self._clock).encode()


class CatchingUp(Counting):
    """The same, for a runtime that applies what others wrote to a parked state."""

    def restored(self, clock: bytes | None) -> None:
        self._restored = True
        if clock:
            self._clock = int(clock)

    def catch_up(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.counts.pop(key, None)
        else:
            self.counts[key] = int(value)


def stage(logic: Any = Counting, inputs: tuple[str, ...] = (INPUT,), **options: Any) -> Stage:
    return Stage("counting", inputs, logic, (OUTPUT,), **options)


def recompute(
    records: Iterable[Any],
) -> tuple[list[tuple[bytes, dict[str, Any]]], dict[bytes, int], list[int]]:
    """What one partition must come to: outputs, state, offsets of dead letters. A loop and nothing else."""
    outputs: list[tuple[bytes, dict[str, Any]]] = []
    counts: dict[bytes, int] = {}
    dead: list[int] = []
    for record in records:
        if record.value in (b"poison", b"huge"):
            dead.append(record.offset)
        elif record.value == b"delete":
            counts.pop(record.key, None)
        else:
            counts[record.key] = counts.get(record.key, 0) + 1
            outputs.append((record.key, {"source": f"{INPUT}:{record.offset}", "count": counts[record.key]}))
    return outputs, counts, dead
