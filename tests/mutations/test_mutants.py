"""The list of mutants is about the code as it is; `make mutants` runs it."""

import ast
from pathlib import Path

import pytest

from tests.mutations.__main__ import broken
from tests.mutations.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.promise for mutant in MUTANTS])
def test_every_line_still_stands_and_can_be_broken(mutant: Mutant) -> None:
    whole = (ROOT / mutant.file).read_text(encoding="utf-8")
    mutated = broken(whole, mutant)
    assert mutated != whole
    ast.parse(mutated)


@pytest.mark.parametrize("test", sorted({test for mutant in MUTANTS for test in mutant.tests}))
def test_every_test_that_must_fail_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name or 'test_'}" in (ROOT / file).read_text(encoding="utf-8")


def test_lines_of_the_engine_the_runtime_and_the_stages_are_broken() -> None:
    assert len(MUTANTS) >= 20
    folders = {mutant.file.rpartition("/")[0] for mutant in MUTANTS}
    assert folders >= {"rules/engine", "pipeline/runtime", "pipeline/stages"}
