"""Who is killed leaves no process behind that computed for it."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.process.children import end_with_parent
from tests.controlplane.client import wait_until

PARENT = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pipeline.process.children import end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_a_child_that_waits_for_work_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
    wait_until(lambda: not child.is_running(), within=10, saying="the child has ended")


def test_whoever_has_no_parent_is_told() -> None:
    with pytest.raises(RuntimeError, match="multiprocessing started"):
        end_with_parent()
