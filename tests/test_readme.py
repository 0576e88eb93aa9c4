"""The README is tested: its commands run, its rule compiles, its links and its figures' commands exist."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from rules import RuleSet, Source, compile_rules, parse

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.partition("  #")[0].strip()
    for language, text in BLOCKS
    if language == "sh"
    for line in text.splitlines()
    if line.strip()
]
CATALOG = (ROOT / "rules" / "library" / "catalog.yaml").read_text()


def test_the_readme_opens_with_the_two_commands() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if not command.startswith("make ")])
def test_a_command_of_the_readme_runs(command: str) -> None:
    program, *arguments = command.split()
    assert program == ".venv/bin/telltale"
    # The environment that these tests run in is the one that `make` has made.
    telltale = Path(sys.executable).parent / "telltale"
    done = subprocess.run(
        [telltale, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_a_make_target_of_the_readme_exists(command: str) -> None:
    # Not run from here: CI runs `make test`, and tests/demo runs what `make demo` does.
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", command.split()[1]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"demo": "telltale demo", "test": "tests.everything"}[command.split()[1]] in done.stdout


@pytest.mark.parametrize("text", [text for language, text in BLOCKS if language == "yaml"])
def test_a_rule_of_the_readme_compiles_against_the_shipped_catalog(text: str) -> None:
    rules = compile_rules(parse([Source("catalog.yaml", CATALOG), Source("README.md", text)]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    assert len(rules.rules) == 1


def test_what_the_readme_names_is_there() -> None:
    for module in re.findall(r"`python -m ([\w.]+)`", README):
        assert find_spec(module), module
    for path in re.findall(r"`((?:rules|pipeline|bridges|docs|k8s|tests)/[\w./-]*)`", README):
        assert (ROOT / path).exists(), path
