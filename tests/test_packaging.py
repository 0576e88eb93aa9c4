"""The wheel holds all that the program reads, and its console script works from it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("rules", "pipeline", "bridges", "k8s")


def telltale(installed: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")}
    return subprocess.run(
        [installed / "bin" / "telltale", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=installed,
        env=environment | {"PYTHONPATH": str(installed)},
        timeout=120,
    )


def test_an_editable_install_needs_no_package_that_the_lock_does_not_have(tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    barred.mkdir()
    (barred / "editables.py").write_text("raise ImportError('the lock has no editables')\n")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel:editable", "-d", tmp_path],
        check=True,
        capture_output=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(barred)},
    )
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as wheel:
        (path,) = [name for name in wheel.namelist() if name.endswith(".pth")]
        assert wheel.read(path).decode().split() == [str(ROOT)]


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file()
        and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(ROOT).parts)
    }
    assert names == files


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        pytest.param("pipeline/schemas/*.json", 11, id="schemas"),
        pytest.param("rules/library/*.yaml", 11, id="library"),
        pytest.param("bridges/embedded/*.lock.toml", 2, id="jars"),
    ],
)
def test_the_wheel_holds_what_the_program_reads(wheel: Path, pattern: str, least: int) -> None:
    assert sum(Path(name).match(pattern) for name in zipfile.ZipFile(wheel).namelist()) >= least


def test_the_wheel_says_what_it_is_and_under_which_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    assert "\nLicense-Expression: Apache-2.0\n" in text
    assert "\nRequires-Python: >=3.11\n" in text


def test_the_program_runs_from_the_wheel(installed: Path) -> None:
    done = telltale(installed, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "simulate" in done.stdout
    where = subprocess.run(
        [sys.executable, "-c", "import pipeline, rules, bridges; print(pipeline.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=installed,
        env=os.environ | {"PYTHONPATH": str(installed)},
    )
    assert where.stdout.startswith(str(installed))


def test_the_schemas_and_the_library_are_read_from_the_wheel(installed: Path) -> None:
    assert json.loads(telltale(installed, "schema", "alerts").stdout)["title"] == "alert"
    checked = telltale(installed, "rules", "check", installed / "rules" / "library")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_process_is_found_from_the_wheel(installed: Path) -> None:
    done = telltale(installed, "settings", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["key"]: row["processes"] for row in json.loads(done.stdout)}
    assert rows["kafka.bootstrap"] == [
        "aggregations",
        "alerts",
        "downlink",
        "geofences",
        "normalize",
        "operator",
        "uplink",
    ]
