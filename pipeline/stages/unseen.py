"""Which vehicles nothing was heard of for long, found without looking at the others.

Time goes in steps of a hundredth of the whole. A vehicle is noted under the step of its last message, and
noted anew when it speaks in a later one: one record of state a vehicle and step. When the clock has passed a
step by the whole time, those who are still noted under it are gone. So a vehicle is never forgotten early,
and at most two hundredths late.
"""

import struct

STEPS = 100
NEVER = 2**62
_LAYOUT = struct.Struct(">Bq")
_FORMAT = 1


class Unseen:
    """The last steps of a partition's vehicles. `ttl_ms` 0: nobody is ever forgotten."""

    def __init__(self, ttl_ms: int) -> None:
        self._ttl = ttl_ms
        self._step = max(1, ttl_ms // STEPS)
        self._seen: dict[bytes, int] = {}
        self._by_step: dict[int, set[bytes]] = {}
        self._changed: set[bytes] = set()
        self.due = NEVER
        """Before this instant nobody is gone."""

    def see(self, vehicle: bytes, at: int) -> None:
        """A message came at this instant."""
        if not self._ttl:
            return
        step = at - at % self._step
        last = self._seen.get(vehicle)
        if last is not None:
            if step <= last:
                return
            self._drop(vehicle, last)
        self._note(vehicle, step)
        self._changed.add(vehicle)

    def forget(self, vehicle: bytes) -> None:
        """Nothing is known of the vehicle any more."""
        last = self._seen.pop(vehicle, None)
        if last is not None:
            self._drop(vehicle, last)
            self._changed.add(vehicle)

    def gone(self, now: int) -> list[bytes]:
        """The vehicles that were unseen for the whole time at this instant, those longest unseen first."""
        passed = sorted(step for step in self._by_step if self._due(step) <= now)
        return [vehicle for step in passed for vehicle in sorted(self._by_step[step])]

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call, by vehicle."""
        changed = [
            (vehicle, _LAYOUT.pack(_FORMAT, self._seen[vehicle]) if vehicle in self._seen else None)
            for vehicle in sorted(self._changed)
        ]
        self._changed.clear()
        return changed

    def restore(self, vehicle: bytes, packed: bytes) -> None:
        """Take what `changes` gave. ValueError if the format is one that this version does not know."""
        if len(packed) != _LAYOUT.size or packed[0] != _FORMAT:
            raise ValueError(f"when a vehicle was seen in format {packed[:1].hex()}, known is {_FORMAT}")
        at = _LAYOUT.unpack(packed)[1]
        if self._ttl:
            self._note(vehicle, at - at % self._step)

    def _note(self, vehicle: bytes, step: int) -> None:
        self._seen[vehicle] = step
        noted = self._by_step.get(step)
        if noted is None:
            self._by_step[step] = {vehicle}
            self.due = min(self.due, self._due(step))
        else:
            noted.add(vehicle)

    def _drop(self, vehicle: bytes, step: int) -> None:
        noted = self._by_step.get(step, set())
        noted.discard(vehicle)
        if not noted and self._by_step.pop(step, None) is not None:
            self.due = min(map(self._due, self._by_step), default=NEVER)

    def _due(self, step: int) -> int:
        return step + self._step + self._ttl
