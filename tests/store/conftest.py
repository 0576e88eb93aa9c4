"""The command line, in this process."""

from pathlib import Path

import pytest

from tests.process.commands import Here


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """`telltale`, in a directory of its own."""
    return Here(tmp_path, monkeypatch, capsys)
