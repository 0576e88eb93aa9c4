"""The README is tested: its commands run, its first rule is made, links and figures' commands exist."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
FIRST_RULE = re.search(
    r"^## Your first rule in five minutes\n(.*?)(?=^## )", README, re.MULTILINE | re.DOTALL
)[1]
KUBERNETES = re.search(r"^## Run it on Kubernetes\n(.*?)(?=^## )", README, re.MULTILINE | re.DOTALL)[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README.replace(FIRST_RULE, "").replace(KUBERNETES, ""))
COMMANDS = [
    line.partition("  #")[0].strip()
    for language, text in BLOCKS
    if language == "sh"
    for line in text.splitlines()
    if line.strip()
]


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


def test_the_first_rule_takes_what_the_readme_says_word_for_word(installed: Path, tmp_path: Path) -> None:
    """In an empty directory, with the program of a built wheel: files are written, commands run in order.

    What a `text` block shows is what the commands before it print, all of it.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")}
    environment |= {
        "PYTHONPATH": str(installed),
        "PATH": f"{installed / 'bin'}:{environment['PATH']}",
    }
    printed = ""
    languages = []
    for language, text in BLOCK.findall(FIRST_RULE):
        languages.append(language)
        if language == "yaml":
            name, _, _ = text.partition("\n")
            (tmp_path / name.removeprefix("# ")).write_text(text)
        elif language == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            printed = done.stdout
        else:
            assert text == printed
    assert languages == ["sh", "text", "yaml", "yaml", "sh", "text", "sh"]
    assert re.search(r"^cold-revs +1 +1 ", printed, re.MULTILINE), "the recording made the rule fire"


def test_the_way_to_kubernetes_is_the_one_that_the_page_on_installing_has() -> None:
    """Whose blocks are run on a real control plane: tests/k8s/packaging/test_installation.py."""
    blocks = BLOCK.findall(KUBERNETES)
    assert blocks
    assert set(blocks) <= set(BLOCK.findall((ROOT / "docs/kubernetes-install.md").read_text()))


def test_what_the_readme_names_is_there() -> None:
    for module in re.findall(r"`python -m ([\w.]+)`", README):
        assert find_spec(module), module
    for path in re.findall(r"`((?:rules|pipeline|bridges|docs|k8s|tests)/[\w./-]*)`", README):
        assert (ROOT / path).exists(), path
