"""A blocking call beside the event loop, in a thread that nobody has to wait for at the end.

asyncio.to_thread would: the interpreter joins its threads, and Ctrl-C during a download of 60 MB would
take effect when that is finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def beside(call: Callable[[], T]) -> T:
    """The call's result or exception; when cancelled, the call goes on for as long as this process lives."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def run() -> None:
        try:
            value, error = call(), None
        except BaseException as failure:
            value, error = None, failure
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True, name=getattr(call, "__qualname__", "beside")).start()
    return await done
