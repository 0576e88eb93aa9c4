"""What the tests of the process contract share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.process.commands import Here


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """`telltale`, in this process and in a directory of its own."""
    return Here(tmp_path, monkeypatch, capsys)


@pytest.fixture
def kafka_address(kafka: Any) -> str:
    """host:port of the session's Kafka."""
    address: str = kafka.bootstrap
    return address
