"""What the linter says of a condition is what trying many values says: not too much, and all that is sure."""

import random
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import SignalCatalog
from rules.language import BOOL, DOUBLE, STRING, Compiled, Environment
from rules.language.environment import Checked
from rules.lint.truth import Truth

CATALOG = SignalCatalog.model_validate(
    {
        "apiVersion": "telltale.dev/v1alpha1",
        "kind": "SignalCatalog",
        "metadata": {"name": "default"},
        "spec": {
            "timestamp": {"path": "ts"},
            "signals": {
                "a": {"min": 0, "max": 10},
                "g": {"type": "int8", "min": -1, "max": 4},
                "f": {},
                "b": {"type": "boolean"},
                "m": {"type": "string", "allowed": ["eco", "sport"]},
            },
        },
    }
)
TYPES = {"a": DOUBLE, "g": DOUBLE, "f": DOUBLE, "b": BOOL, "m": STRING}
ENVIRONMENT = Environment(TYPES)
GRID: dict[str, list[Any]] = {
    "a": [it / 4 for it in range(41)],
    "g": [float(it) for it in range(-1, 5)],
    "f": [it / 2 - 8 for it in range(40)],
    "b": [True, False],
    "m": ["eco", "sport"],
}


def comparison(dice: random.Random) -> str:
    name = dice.choice("aagfbm")
    if name == "b":
        return dice.choice(["b", "!b", "b == true", "b != true"])
    if name == "m":
        return dice.choice(['m == "eco"', 'm != "sport"', 'm in ["eco", "race"]', 'm == "race"'])
    if dice.random() < 0.2:
        return f"{name} in [{dice.randint(-3, 12)}, {dice.randint(-3, 12)}]"
    constant = dice.choice([dice.randint(-3, 12), dice.randint(0, 10) + 0.5])
    operator = dice.choice(["<", "<=", ">", ">=", "==", "!="])
    return f"{name} {operator} {constant}" if dice.random() < 0.8 else f"{constant} {operator} {name}"


def condition(dice: random.Random, depth: int) -> str:
    if depth == 0 or dice.random() < 0.2:
        return comparison(dice)
    left, right = condition(dice, depth - 1), condition(dice, depth - 1)
    return dice.choice(
        [f"({left} && {right})", f"({left} || {right})", f"!({left})", f"({left} ? {right} : {left})"]
    )


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_what_a_condition_may_be_is_what_trying_values_gives(seed: int) -> None:
    text = condition(random.Random(seed), 3)
    truth, checked, compiled = Truth(CATALOG), ENVIRONMENT.checked(text), ENVIRONMENT.compile(text)
    assert isinstance(checked, Checked)
    assert isinstance(compiled, Compiled)
    names = [read.signal for read in compiled.reads]
    sizes = 3000 // max(1, len(names))
    dice = random.Random(seed)
    tried = list(product(*(GRID[name] for name in names))) if len(names) < 3 else []
    tried += [tuple(dice.choice(GRID[name]) for name in names) for _ in range(sizes)]
    seen = {compiled.evaluate(values) for values in tried}
    assignments = truth.assignments(checked.tree.root)
    assert assignments is not None
    found: set[bool] = set()
    for values in assignments:
        by_name = {variable.signal: value for variable, value in values.items()}
        exact = {compiled.evaluate([by_name[name] for name in names])}
        assert truth.possible(checked.tree.root, values) == exact
        found |= exact
    assert seen <= found


def test_too_many_combinations_are_not_tried() -> None:
    parts = [f"f > {it}" for it in range(100)] + [f"a > {it} && g > {it % 5}" for it in range(11)]
    checked = ENVIRONMENT.checked(" || ".join(parts))
    assert isinstance(checked, Checked)
    assert Truth(CATALOG).assignments(checked.tree.root) is None


def test_what_cannot_be_judged_may_be_either() -> None:
    checked = ENVIRONMENT.checked("a + f > 1000.0 && a < 5")
    assert isinstance(checked, Checked)
    truth = Truth(CATALOG)
    outcomes = [
        truth.possible(checked.tree.root, values) for values in truth.assignments(checked.tree.root) or ()
    ]
    assert set(outcomes) == {frozenset((True, False)), frozenset((False,))}
