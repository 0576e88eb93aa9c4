"""A request that the API server had no time for is made again, before the whole pass is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from k8s.api_errors import ApiError, Unavailable

T = TypeVar("T")
_PAUSES_S: Final = (0.2, 1.0)
_LONGEST_PAUSE_S: Final = 5.0


async def patiently(
    request: Callable[[], Awaitable[T]], again: tuple[type[ApiError], ...] = (Unavailable,)
) -> T:
    """The answer to a request that may be made twice: an answer that was lost is no sign that it was not."""
    for pause_s in _PAUSES_S:
        try:
            return await request()
        except again as error:
            asked_s = min(error.after_s or 0.0, _LONGEST_PAUSE_S)
            await asyncio.sleep(max(pause_s * random.uniform(0.5, 1.0), asked_s))
    return await request()
