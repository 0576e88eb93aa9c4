"""The import contracts hold, and each of them bites: a planted violation breaks exactly what it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("rules", "pipeline", "bridges", "k8s")
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}

PLANTED = {
    "rules": ("rules/instants.py", "import time"),
    "rules-layers": ("rules/language/values.py", "import rules.documents.codes"),
    "process": ("pipeline/process/times.py", "import aiokafka"),
    "pipeline-layers": ("pipeline/runtime/stage.py", "import pipeline.stages.normalize"),
    "pipeline": ("pipeline/stages/clocks.py", "import bridges.topics"),
    "bridges": ("bridges/topics.py", "import pipeline.runtime.pacing"),
    "k8s": ("k8s/__init__.py", "import pipeline.stages.clocks"),
    "faust": ("pipeline/stages/payloads.py", "import faust"),
    "paho": ("bridges/ticks.py", "from paho.mqtt import client"),
    "aiokafka": ("bridges/ticks.py", "import aiokafka"),
    "kopf": ("k8s/kinds.py", "import kopf"),
    "cel": ("rules/compile/__init__.py", "import cel_expr_python"),
    "yaml": ("rules/compile/__init__.py", "import yaml"),
    "pyarrow": ("pipeline/backtest/rows.py", "import pyarrow"),
    "demo": ("bridges/kafka.py", "import bridges.embedded"),
}


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env={"PYTHONPATH": str(directory), "COLUMNS": "300", "PATH": ""},
    )


def broken_contracts(directory: Path) -> set[str]:
    """The ids of the contracts that the tree in `directory` breaks."""
    done = lint(directory)
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    kept = {name for name in CONTRACTS if f"{CONTRACTS[name]['name']} KEPT" in told}
    broken = {name for name in CONTRACTS if f"{CONTRACTS[name]['name']} BROKEN" in told}
    assert kept | broken == set(CONTRACTS), done.stdout
    return broken


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_holds() -> None:
    assert broken_contracts(ROOT) == set()


def test_every_contract_breaks_when_its_violation_is_planted(copy: Path) -> None:
    assert PLANTED.keys() == CONTRACTS.keys()
    for file, line in PLANTED.values():
        with (copy / file).open("a") as stream:
            stream.write(f"\n{line}\n")
    assert broken_contracts(copy) == set(CONTRACTS)


def test_a_module_without_a_place_is_noticed(copy: Path) -> None:
    (copy / "pipeline" / "helpers.py").write_text('"""A module that nobody placed."""\n')
    done = lint(copy)
    assert done.returncode != 0
    assert "helpers" in done.stdout


@pytest.mark.parametrize("contract", ["process", "bridges"])
def test_the_lists_of_what_is_forbidden_name_the_whole_pipeline(contract: str) -> None:
    modules = {
        f"pipeline.{path.stem}"
        for path in (ROOT / "pipeline").iterdir()
        if path.stem not in ("__init__", "__pycache__", "process")
    }
    assert modules <= set(CONTRACTS[contract]["forbidden_modules"])
