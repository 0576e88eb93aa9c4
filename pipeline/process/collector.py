"""While a process works, Python makes no full garbage collection: one would hold its loop for too long.

The states of 100,000 vehicles are a million objects, and to look through them takes half a second, in which
no heartbeat is sent. Nearly everything is freed by its reference count, and cycles that die young are found
by the two young generations, which go on. What has outlived those is set aside: freed by its references as
before, but looked through no more. Only a cycle that was set aside and dies later stays in memory; setting
aside is as rare as lasting growth is, so these are few.
"""

import gc
from typing import Final

PATIENCE: Final = 50
"""Collections of the middle generation before what is left is set aside: some 350,000 new lasting objects."""


_SHORT: Final = (700, 10)
"""Python's own thresholds of the two young generations."""


def begin_patiently() -> None:
    """At the start of a program: modules are loaded, a tenth of the time of which went into collections."""
    gc.set_threshold(50_000, 20, 20)


def keep_collections_short() -> None:
    """From now on, in this process."""
    gc.set_threshold(*_SHORT, 2 * PATIENCE)
    if _set_aside not in gc.callbacks:
        gc.callbacks.append(_set_aside)


def _set_aside(phase: str, information: dict[str, int]) -> None:
    if phase == "stop" and information["generation"] == 1 and gc.get_count()[2] >= PATIENCE:
        gc.freeze()
