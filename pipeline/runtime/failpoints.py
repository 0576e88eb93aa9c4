"""A test can kill the process at a named moment; nothing and nobody else can.

TELLTALE_FAILPOINTS="produced:3" kills at the third passing of that point, if TELLTALE_TESTING is 1. The
process first adds the point's name as a line to TELLTALE_FAILPOINT_FILE, so that a test can assert the kill.

    begin       inside the open transaction, some of its records written
    produced    everything written, not yet committed
    committed   committed, the process does not know yet
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

POINTS = ("begin", "produced", "committed")


class Failpoints:
    """The armed points of this process, counted down."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        values = dict(os.environ) if environment is None else environment
        self._left: dict[str, int] = {}
        self._file = values.get("TELLTALE_FAILPOINT_FILE")
        if values.get("TELLTALE_TESTING") != "1":
            return
        for entry in filter(None, values.get("TELLTALE_FAILPOINTS", "").split(",")):
            name, _, count = entry.strip().partition(":")
            if name not in POINTS:
                raise ValueError(f"TELLTALE_FAILPOINTS: {name!r} is none of {', '.join(POINTS)}")
            self._left[name] = int(count or 1)

    def due(self, name: str) -> bool:
        """Count one passing of the point; True if the process has to die here."""
        left = self._left.get(name)
        if left is None:
            return False
        self._left[name] = left - 1
        return left == 1

    def pass_by(self, name: str) -> None:
        """Die here, if this is the passing that was asked for."""
        if self.due(name):
            self.die(name)

    def die(self, name: str) -> None:
        """Leave a line and be killed, as by kill -9."""
        if self._file:
            with Path(self._file).open("a") as file:
                file.write(f"{name}\n")
                file.flush()
                os.fsync(file.fileno())
        os.kill(os.getpid(), signal.SIGKILL)
