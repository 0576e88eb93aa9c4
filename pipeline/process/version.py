"""The program's version is that of the installed distribution: one place, pyproject.toml."""

from __future__ import annotations

import platform
from importlib import metadata

_STANDS_ON = ("faust-streaming", "aiokafka", "paho-mqtt", "cel-expr-python", "pydantic")


def program_version() -> str:
    """Return `0.1.0`, or `unknown` where the sources run without being installed."""
    return _version("telltale")


def versions() -> dict[str, str]:
    """The program's version, Python's, and those of the parts that decide how it behaves."""
    found = {"telltale": program_version(), "python": platform.python_version()}
    return found | {name: _version(name) for name in _STANDS_ON}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
