"""Law: a condition is what `&&`, `||`, `!`, `?:` and parentheses make of its atoms.

Each atom compiles on its own, reads nothing that the condition does not, and the condition with every atom
replaced by its truth has the condition's truth.
"""

from rules.language import BOOL, Compiled, Environment, EvaluationError, UnknownValue
from rules.language.atoms import atoms
from tests.language.expressions import VARIABLES, Generator, rows
from tests.language.test_differential import argument

SEED = 20260106
PLAIN = Environment({})


def truth(compiled, row):
    """True, False, or None where it is unknown or an error."""
    try:
        return compiled.evaluate([argument(read, row) for read in compiled.reads]) is True
    except (EvaluationError, UnknownValue):
        return None


def test_a_condition_is_made_of_its_atoms() -> None:
    generator, environment = Generator(SEED), Environment(VARIABLES)
    inputs = rows(SEED, 40)
    with_several = decided = 0
    for number in range(2000):
        text = generator.expression("bool").author
        condition = environment.compile(text, BOOL)
        if not isinstance(condition, Compiled) or "dyn(" in text:
            continue
        found = atoms(text)
        compiled = [environment.compile(atom.text, BOOL) for atom in found]
        assert all(isinstance(each, Compiled) for each in compiled), (text, found)
        assert {read for each in compiled for read in each.reads} <= set(condition.reads), (text, found)
        with_several += len(found) > 1
        row = inputs[number % len(inputs)]
        truths = [truth(each, row) for each in compiled]
        whole = truth(condition, row)
        if None in truths or whole is None:
            continue
        replaced = text
        for atom, value in reversed(list(zip(found, truths, strict=True))):
            end = atom.offset + len(atom.text)
            replaced = f"{replaced[: atom.offset]}{str(value).lower()}{replaced[end:]}"
        constant = PLAIN.compile(replaced, BOOL)
        assert isinstance(constant, Compiled), (text, replaced)
        assert constant.evaluate([]) is whole, (text, replaced)
        decided += 1
    assert with_several > 100
    assert decided > 250
