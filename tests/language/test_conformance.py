"""The documented examples of CEL, as data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules.language import (
    BOOL,
    DOUBLE,
    STRING,
    UNKNOWN,
    Compiled,
    Environment,
    EvaluationError,
    UnknownValue,
)
from tests.language.oracle import ERROR, Oracle, attempt, canonical

VARIABLES = {"d": DOUBLE, "s": STRING, "b": BOOL}
SECTIONS = yaml.safe_load((Path(__file__).parent.parent / "conformance" / "cel.yaml").read_text())
CASES = [
    pytest.param(case, id=f"{section['section']}: {case['expression']}")
    for section in SECTIONS
    for case in section["cases"]
]


@pytest.fixture(scope="module")
def environment() -> Environment:
    return Environment(VARIABLES)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(VARIABLES)


@pytest.mark.parametrize("case", CASES)
def test_documented_example(environment: Environment, oracle: Oracle, case: Mapping[str, Any]) -> None:
    compiled = environment.compile(case["expression"])
    assert isinstance(compiled, Compiled), compiled
    inputs = case.get("inputs", {})
    arguments = [inputs.get(read.signal, UNKNOWN) for read in compiled.reads]
    strict = eval(
        f"lambda {', '.join(read.name for read in compiled.reads)}: {compiled.source}",
        dict(compiled.constants),
    )
    fast = attempt(strict, arguments)
    if case.get("unknown") or case.get("error"):
        with pytest.raises(UnknownValue if case.get("unknown") else EvaluationError):
            compiled.evaluate(arguments)
        assert fast in (None, ERROR)
        return
    expected = canonical(case["value"])
    assert canonical(compiled.evaluate(arguments)) == expected
    assert fast in (None, expected)
    official = ask(oracle, case["expression"], inputs)
    assert official is None or (official == expected) is not bool(case.get("differs")), official


def ask(oracle: Oracle, expression: str, inputs: Mapping[str, object]) -> object | None:
    """Return what the C++ evaluator says; None where it refuses an int beside a double."""
    try:
        compiled = oracle.compile(expression)
    except RuntimeError:
        return None
    return oracle.value(compiled, oracle.bind(inputs))


def test_every_section_has_cases() -> None:
    assert all(section["cases"] for section in SECTIONS)
    assert len(CASES) > 300
