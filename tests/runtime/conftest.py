"""A world for each test that wants a real Kafka."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.real import World


@pytest.fixture
def world(kafka: object, prefix: str, tmp_path: Path) -> Iterator[World]:
    """This test's topics, and worker processes that end with it."""
    made = World(kafka.bootstrap, prefix, tmp_path)  # type: ignore[attr-defined]
    yield made
    made.clean_up()
