"""`make mutants`: each line of the list is broken, one at a time; whatever no test notices is told.

python -m tests.mutations [WORD…]     only mutants whose file or promise holds one of the words

The tree is copied first, so that nobody who works in it sees a broken line. Exit code 1 if a mutant survives,
2 if the tests fail before anything is broken.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bridges.embedded import EmbeddedKafka
from tests.mutations.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
KAFKA = "TELLTALE_TEST_KAFKA"
_LIMIT_S = 300.0
_FAILED = 1
"""pytest's exit code where tests ran and some failed; others mean that it could not run them."""


def main() -> int:
    """Break the lines, one after the other."""
    words = sys.argv[1:]
    chosen = [it for it in MUTANTS if not words or any(word in it.file + it.promise for word in words)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory, kafka():
        tree = Path(directory)
        copy(tree)
        before = run(tree, dict.fromkeys(test for mutant in chosen for test in mutant.tests))
        if before.returncode != 0:
            print(before.stdout, "the tests fail before anything is broken", sep="\n", file=sys.stderr)
            return 2
        survivors = [mutant for mutant in chosen if not is_killed(tree, mutant)]
    for mutant in survivors:
        print(f"\n{mutant.file}: no test notices\n-{mutant.original}\n+{mutant.mutated}", file=sys.stderr)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants are noticed")
    return 1 if survivors or not chosen else 0


def is_killed(tree: Path, mutant: Mutant) -> bool:
    """Whether a test fails while the line is broken; the line is mended afterwards."""
    file = tree / mutant.file
    whole = file.read_text(encoding="utf-8")
    began = time.monotonic()
    try:
        file.write_text(broken(whole, mutant), encoding="utf-8")
        code = run(tree, mutant.tests).returncode
    except subprocess.TimeoutExpired:
        code = _FAILED
    finally:
        file.write_text(whole, encoding="utf-8")
    verdict = {0: "SURVIVES", _FAILED: "noticed"}.get(code, f"NOT RUN (pytest says {code})")
    print(f"{verdict:<9} {time.monotonic() - began:4.0f} s  {mutant.promise}", flush=True)
    return code == _FAILED


def broken(whole: str, mutant: Mutant) -> str:
    """A file's text with the mutated line. ValueError if the original is not there exactly once."""
    lines = whole.split("\n")
    if lines.count(mutant.original) != 1:
        raise ValueError(f"{mutant.file} has {lines.count(mutant.original)} times: {mutant.original}")
    lines[lines.index(mutant.original)] = mutant.mutated
    return "\n".join(lines)


def copy(tree: Path) -> None:
    """All files that are, or could be, in git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def run(tree: Path, tests: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """The tests on the copy, until the first that fails. No bytecode: it would be told by size and second."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )


@contextlib.contextmanager
def kafka() -> Iterator[None]:
    """One Kafka for all runs, unless there is one already."""
    if KAFKA in os.environ:
        yield
        return
    with EmbeddedKafka() as broker:
        os.environ[KAFKA] = broker.bootstrap
        yield


if __name__ == "__main__":
    sys.exit(main())
