"""The program's version is that of the installed distribution: one place, pyproject.toml."""

from __future__ import annotations

from importlib import metadata


def program_version() -> str:
    """Return `0.1.0`, or `unknown` where the sources run without being installed."""
    try:
        return metadata.version("telltale")
    except metadata.PackageNotFoundError:
        return "unknown"
