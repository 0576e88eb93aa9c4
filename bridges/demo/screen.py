"""Where the demo is seen: a live screen on a terminal, lines elsewhere; never on stdout."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live

from bridges.demo.view import Scene, clock, render


class Screen(Protocol):
    """What a demonstration tells while it lasts."""

    def say(self, sentence: str) -> None:
        """One step of setting up or clearing away."""

    def draw(self, scene: Scene) -> None:
        """The present scene."""

    def leave(self) -> None:
        """The last scene is over; what is said from now on comes below it."""


class Lines:
    """For a file, a pipe or a log: a line for each step, and one every few seconds."""

    def __init__(self, console: Console, every_s: float = 5.0) -> None:
        self._console = console
        self._every_s = every_s
        self._began = time.monotonic()
        self._drawn = float("-inf")
        self._noted = 0.0

    def say(self, sentence: str) -> None:
        """Print it."""
        self._print(f"{sentence} …")

    def draw(self, scene: Scene) -> None:
        """Print a line of figures, if the last one is some seconds old, and each note."""
        for at, sentence in scene.board.notes:
            if at > self._noted:
                self._noted = at
                self._print(sentence)
        if scene.now - self._drawn >= self._every_s:
            self._drawn = scene.now
            accounts, board = scene.accounts, scene.board
            self._print(
                f"{clock(scene.now - scene.began)}  {board.rate(scene.now):.0f} messages/s, "
                f"{accounts.uplinked} in Kafka, {accounts.normalized} normalized, "
                f"{len(board.firing)} alerts firing, {board.alerts_fired} fired, "
                f"{board.command_states['requested']} commands, "
                f"{board.command_states['acknowledged']} acknowledged"
            )

    def leave(self) -> None:
        """Nothing to leave."""

    def _print(self, line: str) -> None:
        self._console.print(
            f"[{time.monotonic() - self._began:5.1f}s] {line}", highlight=False, markup=False, soft_wrap=True
        )


class FullScreen:
    """For a terminal: a line for each step, then the whole screen; it is given back as it was."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def say(self, sentence: str) -> None:
        """Print it, while there is no live screen (whose heading tells the rest)."""
        if self._live is None:
            self._console.print(f"{sentence} …", style="dim", highlight=False, markup=False)

    def draw(self, scene: Scene) -> None:
        """Show the scene."""
        if self._live is None:
            self._live = Live(console=self._console, screen=True, auto_refresh=False)
            self._live.start()
        self._live.update(render(scene, self._console.width, self._console.height), refresh=True)

    def leave(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None
