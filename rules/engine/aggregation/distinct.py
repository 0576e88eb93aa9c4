"""How many different values: exact up to 256, beyond that within 1.6 % (standard error) in 4 KB.

HyperLogLog with 4,096 registers (Flajolet and others, 2007) and the estimator of Ertl (2017, "New cardinality
estimation algorithms for HyperLogLog sketches", algorithm 6), which needs no tables. Registers are maxima, so
order and merging change nothing. It is here and not from a library because the estimate must be
a function of the values alone (datasketches answers by HIP, which depends on the order in which they came,
and offers nothing else to Python), and because what is kept is state: neither the hash nor the format may
change with a release.
"""

import hashlib
import math
import struct
from typing import Any

EXACT = 256
_P = 12
_REGISTERS = 1 << _P
_Q = 64 - _P
_ALPHA = 1 / (2 * math.log(2))


class Distinct:
    """The hashes of few values, or the registers of many."""

    __slots__ = ("hashes", "registers")

    def __init__(self) -> None:
        self.hashes: set[int] = set()
        self.registers: bytearray | None = None

    def add(self, value: object, _ts: int, _who: str) -> None:
        self._add(_hash(value))

    def _add(self, digest: int) -> None:
        if self.registers is None:
            self.hashes.add(digest)
            if len(self.hashes) > EXACT:
                self._fill()
            return
        register, rank = digest >> _Q, _Q - (digest & (1 << _Q) - 1).bit_length() + 1
        if rank > self.registers[register]:
            self.registers[register] = rank

    def _fill(self) -> None:
        hashes, self.hashes, self.registers = self.hashes, set(), bytearray(_REGISTERS)
        for digest in hashes:
            self._add(digest)

    def merge(self, other: "Distinct") -> None:
        if other.registers is None:
            for digest in other.hashes:
                self._add(digest)
            return
        if self.registers is None:
            self._fill()
        assert self.registers is not None
        self.registers = bytearray(map(max, self.registers, other.registers))

    def estimate(self) -> int:
        """A whole number; exact for few."""
        if self.registers is None:
            return len(self.hashes)
        counts = [0] * (_Q + 2)
        for rank in self.registers:
            counts[rank] += 1
        z = _REGISTERS * _tau(1 - counts[_Q + 1] / _REGISTERS)
        for rank in range(_Q, 0, -1):
            z = 0.5 * (z + counts[rank])
        z += _REGISTERS * _sigma(counts[0] / _REGISTERS)
        return round(_ALPHA * _REGISTERS * _REGISTERS / z)

    def pack(self) -> bytes:
        if self.registers is not None:
            return b"r" + self.registers
        return b"h" + struct.pack(f">{len(self.hashes)}Q", *sorted(self.hashes))

    @classmethod
    def unpack(cls, packed: Any) -> "Distinct":
        distinct = cls()
        if packed[:1] == b"r" and len(packed) == _REGISTERS + 1:
            distinct.registers = bytearray(packed[1:])
        elif packed[:1] == b"h":
            distinct.hashes = {digest for (digest,) in struct.iter_unpack(">Q", packed[1:])}
        else:
            raise ValueError("a set of values in a form that is not known")
        return distinct


def _hash(value: object) -> int:
    """The same on every machine; a text is no number and a number no truth value."""
    match value:
        case bool():
            content = b"b1" if value else b"b0"
        case int() | float():
            content = b"d" + struct.pack(">d", float(value) + 0.0)
        case _:
            content = b"s" + str(value).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    z, y = x, 1.0
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    z, y = 1 - x, 1.0
    while True:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
        if z == before:
            return z / 3
