"""Processes that another one starts to compute for it: none of them outlives it."""

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """In the child, at its start: end when the parent does, however it does.

    kill -9 tells nobody, and a child that waits for work holds both ends of its queue: it would wait on.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("only a process that multiprocessing started has a parent to end with")
    sentinel = parent.sentinel

    def end() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=end, name="end with parent", daemon=True).start()
