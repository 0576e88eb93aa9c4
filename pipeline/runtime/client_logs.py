"""A broker that is away must not fill the disk with logs: each message of the clients once in ten seconds.

aiokafka logs hundreds of lines a second then, Faust tells each rebalance in a dozen.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

_EVERY_S = 10.0
_CLIENTS = ("aiokafka", "faust", "mode")


class RateLimit(logging.Filter):
    """Lets one record of each (logger, message template) pass in ten seconds, saying how many did not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide, and count."""
        key = (record.name, str(record.msg)[:200])
        now = self._clock()
        since, held = self._passed.get(key, (float("-inf"), 0))
        if now - since < _EVERY_S:
            self._passed[key] = (since, held + 1)
            return False
        if len(self._passed) > 1_000:
            self._passed.clear()
        self._passed[key] = (now, 0)
        if held:
            record.msg = f"{record.msg} (and {held} more like it)"
        return True


def quieten() -> None:
    """Limit the loggers of aiokafka, Faust and mode, those that exist now; again is harmless."""
    for name in _CLIENTS:
        logging.getLogger(name).setLevel(logging.WARNING)
    limit = RateLimit()
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] not in _CLIENTS or not isinstance(logger, logging.Logger):
            continue
        if not any(isinstance(found, RateLimit) for found in logger.filters):
            logger.addFilter(limit)
