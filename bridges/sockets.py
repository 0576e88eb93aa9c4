"""A connected socket for a client library that reads byte by byte, buffered so that it costs no system calls.

paho asks its socket for one byte, then for another, then for the rest, and sends every packet by itself:
five system calls a message. Behind this buffer they become one for all that has arrived, and one for all
that a turn of the event loop has to say. Opening is done by the event loop too (name, TCP, TLS), so that no
thread is needed and a time-out or a cancellation leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

_READ_BYTES = 1 << 18
_CLOSING_TIMEOUT_S = 1.0


class BufferedSocket:
    """What paho sees instead of its socket; `flush` is when bytes really leave."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._incoming = b""
        self._position = 0
        self._outgoing = bytearray()

    # -- what paho calls -----------------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes that have arrived; BlockingIOError or ssl.SSLWantReadError where none has."""
        start = self._position
        if start == len(self._incoming):
            self._incoming = self._socket.recv(_READ_BYTES)
            start = self._position = 0
        end = start + size
        if end > len(self._incoming):
            end = len(self._incoming)
        self._position = end
        return self._incoming[start:end]

    def send(self, data: bytes | bytearray) -> int:
        """Take the bytes; they leave with the next `flush`."""
        self._outgoing += data
        return len(data)

    def close(self) -> None:
        """Close, after a last attempt to send what is still here (a DISCONNECT, acknowledgements)."""
        try:
            if self._outgoing:
                self._socket.settimeout(_CLOSING_TIMEOUT_S)
                self._socket.sendall(self._outgoing)
        except OSError:
            pass  # the other side is gone, and with it the reason to say goodbye
        finally:
            self._outgoing.clear()
            self._socket.close()

    def fileno(self) -> int:
        """The descriptor for the event loop."""
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:
        """Pass it on."""
        self._socket.setblocking(flag)

    # -- what the connection calls -------------------------------------------------------------------------

    @property
    def has_input(self) -> bool:
        """Whether a read would return at once without asking the kernel, which then would not wake us."""
        if self._position < len(self._incoming):
            return True
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def flush(self) -> bool:
        """Send what the kernel takes; False where something is left. Raises OSError if the peer is gone."""
        while self._outgoing:
            try:
                sent = self._socket.send(self._outgoing)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            del self._outgoing[:sent]
        return True


async def open_socket(host: str, port: int, tls: ssl.SSLContext | None) -> BufferedSocket:
    """Connect to the first address of `host` that answers. Raises OSError (ssl.SSLError is one)."""
    loop = asyncio.get_running_loop()
    failure: OSError = ConnectionError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        raw = socket.socket(family, kind, protocol)
        try:
            raw.setblocking(False)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(raw, address)
            return BufferedSocket(raw if tls is None else await _shake_hands(raw, host, tls))
        except OSError as error:
            raw.close()
            failure = error
        except BaseException:
            raw.close()
            raise
    raise failure


async def _shake_hands(raw: socket.socket, host: str, tls: ssl.SSLContext) -> ssl.SSLSocket:
    wrapped = tls.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)
    try:
        while True:
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                await _wait_for(wrapped, reading=True)
            except ssl.SSLWantWriteError:
                await _wait_for(wrapped, reading=False)
            else:
                return wrapped
    except BaseException:
        wrapped.close()
        raise


async def _wait_for(waiting: socket.socket, *, reading: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add, remove = (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)
    add(waiting, wake)
    try:
        await ready
    finally:
        remove(waiting)
