"""A vehicle's partition is murmur2 of its key, as Kafka's own clients count it.

Our producers name the partition themselves, so that a record from any of them, or from a Java
client, is where every worker looks for it. Kafka's definition:
org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.
"""

from __future__ import annotations

from functools import lru_cache

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 as an unsigned 32 bit number."""
    length = len(data)
    whole = length & ~3
    h = _SEED ^ length
    for index in range(0, whole, 4):
        k = int.from_bytes(data[index : index + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=1 << 18)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of `key` among `partitions`; remembered, since a fleet's keys repeat."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
