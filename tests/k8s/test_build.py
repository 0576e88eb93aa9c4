"""The control plane is built once, appears whole or not at all, and a build that fails is told."""

import os
import subprocess
import sys
from pathlib import Path

from tests.controlplane.build import NAMES

ROOT = Path(__file__).parents[2]
GO = """#!/bin/sh
[ "$1 $2" = "env GOVERSION" ] && echo go1.26.9 && exit
echo "$1" >> "$COUNT"
[ "$1" = build ] && shift && while [ "$1" != -o ]; do shift; done && touch "$2"
[ "$1" = install ] && touch "$GOBIN/helm"
sleep 0.3
exit "$CODE"
"""


def _start(here: Path, code: int) -> "subprocess.Popen[str]":
    go = here / "bin" / "go"
    go.parent.mkdir(exist_ok=True)
    go.write_text(GO)
    go.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{go.parent}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(here / "cache"),
        "COUNT": str(here / "count"),
        "CODE": str(code),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.controlplane"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_that_want_it_at_once_build_it_once(tmp_path: Path) -> None:
    both = [_start(tmp_path, 0), _start(tmp_path, 0)]
    said = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert (tmp_path / "count").read_text().split() == ["build", "install"]
    (folder,) = (tmp_path / "cache" / "telltale" / "controlplane").glob("v*")
    assert {path.name for path in folder.iterdir()} == {*NAMES, "controlplane", "helm"}
    assert str(folder) in said[0][0]


def test_build_that_fails_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    one = _start(tmp_path, 1)
    _, said = one.communicate(timeout=60)
    assert one.returncode == 1
    assert "the control plane could not be built" in said
    left = (tmp_path / "cache" / "telltale" / "controlplane").iterdir()
    assert [path.name for path in left] == ["lock"]
