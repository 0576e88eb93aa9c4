"""A candidate that its own limits have judged is taken back, once, by whichever worker comes first.

All workers compare, so that several may ask at once: the log lets one through, and the others find that
the candidate is no longer at the head.
"""

from __future__ import annotations

import asyncio
import time

from pipeline.process.settings import ProcessSettings
from pipeline.store.changes import revert
from pipeline.store.log import Conflict, RulesLog
from rules.instants import format_instant

AUTHOR = "telltale"
_ATTEMPTS = 5
_PAUSE_S = 0.5


async def roll_back_rollout(settings: ProcessSettings, candidate: int, message: str) -> bool:
    """Give all vehicles the stable rules again. False if the candidate is not what the head is any more.

    Raises Conflict where somebody else writes all the time, StoreDamaged, and what Kafka raises.
    """
    async with RulesLog(settings) as log:
        for attempt in range(1, _ATTEMPTS + 1):
            revisions = await log.read()
            if revisions.candidate != candidate:
                return False
            stable = revisions.manifest(candidate).stable
            at = format_instant(time.time_ns() // 1_000_000)
            change = revert(revisions, stable, author=AUTHOR, message=message, at=at)
            try:
                await log.write(change)
            except Conflict:
                if attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(_PAUSE_S * attempt)
            else:
                return True
    return False
