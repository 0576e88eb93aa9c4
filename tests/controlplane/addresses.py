"""An address for each pod on this machine: a /24 on the loopback device for each kubelet.

Not 127.0.0.0/8: the API server refuses loopback addresses in endpoints, and then no Service, and no webhook,
would find its pods. The range is the one that RFC 2544 keeps for benchmarks, which nobody routes.
"""

import contextlib
import fcntl
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

NETWORK = "198.19"
SIOCSIFADDR, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x8913, 0x8914, 1


@contextlib.contextmanager
def subnet() -> Iterator[str]:
    """The first three numbers of a range that is this process's own; needs root."""
    for number in range(256):
        lock = (Path(tempfile.gettempdir()) / f"telltale-pods-{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        with lock:
            alias = f"lo:pods{number}".encode()
            # An address of class C gets a mask of 24 bits, and on loopback that makes all of them local.
            _ask(SIOCSIFADDR, alias, _address(f"{NETWORK}.{number}.1"))
            try:
                yield f"{NETWORK}.{number}"
            finally:
                flags = struct.unpack_from("H", _ask(SIOCGIFFLAGS, alias, b""), 16)[0]
                _ask(SIOCSIFFLAGS, alias, struct.pack("H", flags & ~IFF_UP))
        return
    raise RuntimeError("256 kubelets are running on this machine")


def _address(text: str) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))


def _ask(request: int, name: bytes, argument: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        return fcntl.ioctl(anything, request, struct.pack("16s24s", name, argument))
