"""The command line, called in this process: what is imported once need not be imported again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.process.cli import main


class Done(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


class Here:
    """Calls `telltale` in a directory of its own, with no variable but those of the test."""

    def __init__(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.directory = directory
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for key in [key for key in os.environ if key.startswith("TELLTALE_")]:
            monkeypatch.delenv(key)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.chdir(directory)

    def set(self, **variables: str) -> None:
        """Set variables for all that follows."""
        for key, value in variables.items():
            self._monkeypatch.setenv(key, value)

    def __call__(self, *words: str | Path, **variables: str) -> Done:
        """Call it; `variables` stay set."""
        self.set(**variables)
        self._monkeypatch.setattr(sys, "argv", ["telltale", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        said = self._capsys.readouterr()
        return Done(code, said.out, said.err)
