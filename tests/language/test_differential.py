"""Law: compiled Python agrees with the C++ evaluator on every expression and every input.

TELLTALE_SEED and TELLTALE_EXPRESSIONS draw others, or more, than the run of the suite.
"""

import os
from collections import Counter
from collections.abc import Mapping

from rules.language import UNKNOWN, Compiled, Environment, EvaluationError, Read, UnknownValue
from rules.language.values import Duration
from tests.language.expressions import DOCUMENTED, EXTENSION, HISTORY, OFFICIAL, VARIABLES, Generator, rows
from tests.language.oracle import ERROR, Oracle, attempt, canonical

SEED = int(os.environ.get("TELLTALE_SEED", "20260101"))
EXPRESSIONS = int(os.environ.get("TELLTALE_EXPRESSIONS", "10500"))
INPUTS = 6
RESULTS = (
    *("bool",) * 10,
    *("double",) * 3,
    *(
        "string",
        "int",
        "uint",
        "bytes",
        "duration",
        "timestamp",
        "type",
        "dyn",
        "list(double)",
        "list(string)",
    ),
    "map(string,double)",
)


def argument(read: Read, row: Mapping[str, object]) -> object:
    """Return what the engine would hand in for `read`."""
    kind = read.kind if read.window is None else read.window.function
    name = read.signal if kind in ("value", "local") else f"{kind}_{read.signal}"
    value = row.get(name, UNKNOWN)
    if read.kind == "age" and isinstance(value, Duration):
        return value.nanoseconds // 1_000_000
    return value


def test_compiled_python_agrees_with_the_oracle() -> None:
    generator = Generator(SEED)
    environment = Environment(VARIABLES)
    oracle = Oracle(OFFICIAL)
    inputs = [(row, oracle.bind(row)) for row in rows(SEED, 500)]
    drawn: set[str] = set()
    differences: list[str] = []
    answers = decided = 0
    aborted: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for number in range(EXPRESSIONS):
        expression = generator.expression(RESULTS[number % len(RESULTS)])
        drawn |= expression.drawn
        official = oracle.compile(expression.official)
        compiled = environment.compile(expression.author)
        if not isinstance(compiled, Compiled):
            refused[compiled[0].code] += 1
            if compiled[0].code != "TT107":
                differences.append(f"{expression.author}\n    refused: {compiled}")
            continue
        names = ", ".join(read.name for read in compiled.reads)
        strict = eval(f"lambda {names}: {compiled.source}", dict(compiled.constants))
        for repeat in range(INPUTS):
            row, activation = inputs[(number * INPUTS + repeat) % len(inputs)]
            arguments = [argument(read, row) for read in compiled.reads]
            expected = oracle.value(official, activation)
            found = exact(compiled, arguments)
            fast = attempt(strict, arguments)
            answers += 1
            if isinstance(expected, tuple) and expected[0] == "aborted":
                aborted[expected[1]] += 1
                continue
            decided += fast is not None
            if found != expected or (fast is not None and fast != expected):
                given = {read.signal: value for read, value in zip(compiled.reads, arguments, strict=True)}
                differences.append(
                    f"{expression.author}\n    inputs: {given}\n    oracle: {expected}\n    exact:  {found}"
                    f"\n    strict: {fast}   {compiled.source}"
                )
    assert not differences, f"{len(differences)} differ (seed {SEED}):\n" + "\n".join(
        sorted(differences, key=len)[:20]
    )
    assert not (DOCUMENTED | EXTENSION | HISTORY) - drawn, "a documented name was never drawn"
    assert answers > 0.99 * EXPRESSIONS * INPUTS, refused
    assert set(aborted) == {"ALREADY_EXISTS: duplicate key in map [ALREADY_EXISTS]"}
    assert aborted.total() < 0.01 * answers
    assert decided > answers / 3, "the fast path decides too rarely to have been tested"


def exact(compiled: Compiled, arguments: list[object]) -> object:
    try:
        return canonical(compiled.evaluate(arguments))
    except UnknownValue:
        assert any(value is UNKNOWN for value in arguments), compiled.text
        return ERROR
    except EvaluationError:
        return ERROR
