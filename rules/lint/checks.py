"""What is suspicious in a rule that is right: conditions that cannot hold, and mixed units.

Everything here is a warning. A rule that means it says so: `telltale.dev/meant: TT321`.
"""

from collections.abc import Sequence

from rules.documents import AlertRule, quote
from rules.language import DOUBLE
from rules.language.tree import Call, Literal, Node
from rules.lint.expressions import Expression, Linted, conditions
from rules.lint.truth import NO, YES, Assignment, Truth
from rules.lint.units import Units

_LOGIC = ("_&&_", "_||_", "!_", "_?_:_")


def lint_rule(linted: Linted, truth: Truth, units: Units) -> None:
    """Note everything that is suspicious about one rule, of any kind."""
    found = list(conditions(linted))
    for condition in found:
        _units(condition, units)
        _truth(condition, truth)
    by_path = {condition.path: condition for condition in found}
    _groups(linted)
    if isinstance(linted.placed.document, AlertRule):
        _clear_when(by_path.get(("spec", "when")), by_path.get(("spec", "clearWhen")), truth)
        _ladder(linted, by_path, truth)


def _units(condition: Expression, units: Units) -> None:
    for mixture in units.mixtures(condition.root):
        message = f"{mixture.left} {mixture.sign} {mixture.right}: two units are mixed"
        condition.find("TT322", mixture.node, message, mixture.hint)


def _truth(condition: Expression, truth: Truth) -> None:
    """The parts of a condition whose truth never changes: comparisons, or what they add up to."""
    _settled_below(condition, condition.root, truth)


def _settled_below(condition: Expression, node: Node, truth: Truth) -> bool:
    """Note the smallest parts of `node` that are settled. Whether there is one."""
    atom = truth.atom(node)
    parts = node.args if atom is None and isinstance(node, Call) and node.function in _LOGIC else ()
    below = [_settled_below(condition, part, truth) for part in parts]
    if True in below:
        return True
    found = _outcomes(truth, node)
    if len(found) == 2 or isinstance(node, Literal):
        return False
    if atom is None:
        why = "one of its parts always does" if found == YES else "its parts exclude each other"
    else:
        allowed = truth.range_of(atom.variable)
        why = f"{quote(atom.variable.signal)} is {allowed}" if allowed else "no value changes that"
    code, word = ("TT321", "always") if found == YES else ("TT320", "never")
    condition.find(code, node, f"this {word} holds: {why}")
    return True


def _outcomes(truth: Truth, node: Node) -> frozenset[bool]:
    """What a part of a condition may be, over all values; both where they are too many to try."""
    assignments = truth.assignments(node)
    both = YES | NO
    if assignments is None:
        return both
    found: frozenset[bool] = frozenset()
    for values in assignments:
        found |= truth.possible(node, values)
        if found == both:
            break
    return found


def _groups(linted: Linted) -> None:
    """Groups without a bound: one for each value of a number."""
    for name, text in (getattr(linted.placed.document.spec, "group_by", None) or {}).items():
        group = linted.condition(text, "spec", "groupBy", name)
        if group is not None and group.checked.type == DOUBLE:
            message = "a number makes a group of each of its values: the state has no bound"
            group.find("TT328", group.root, message, "make steps of it: int(speed / 10.0)")


def _clear_when(when: Expression | None, clear: Expression | None, truth: Truth) -> None:
    """Hysteresis that is none: values at which the alert begins and ends at once."""
    if when is None or clear is None:
        return
    for values in truth.assignments(when.root, clear.root) or ():
        if truth.possible(when.root, values) == YES and truth.possible(clear.root, values) == YES:
            message = f"clearWhen and when both hold at {_written(values)}"
            clear.find("TT323", clear.root, message, "leave a gap: when speed > 120, clearWhen speed < 110")
            return


def _ladder(linted: Linted, by_path: dict[tuple[str | int, ...], Expression], truth: Truth) -> None:
    """A severity that no value reaches: a higher one takes all that it would have."""
    rungs = linted.placed.document.spec.severity
    when = by_path.get(("spec", "when"))
    if isinstance(rungs, str) or when is None:
        return
    higher: list[Expression] = []
    for index, rung in enumerate(rungs):
        for name, text in rung.named:
            condition = by_path.get(("spec", "severity", index, name))
            if condition is None and text.strip() != "true":
                return
            path = ("spec", "severity", index, name)
            if not _reachable(when, condition, higher, truth):
                linted.find("TT324", path, f"severity {name} is never reached")
            if condition is not None:
                higher.append(condition)


def _reachable(
    when: Expression, condition: Expression | None, higher: Sequence[Expression], truth: Truth
) -> bool:
    roots = [when.root, *(it.root for it in higher), *([] if condition is None else [condition.root])]
    assignments = truth.assignments(*roots)
    if assignments is None:
        return True
    return any(
        True in truth.possible(when.root, values)
        and (condition is None or True in truth.possible(condition.root, values))
        and all(False in truth.possible(it.root, values) for it in higher)
        for values in assignments
    )


def _written(values: Assignment) -> str:
    parts = []
    for variable, value in values.items():
        text = (
            str(value).lower()
            if isinstance(value, bool)
            else f"{value:g}"
            if isinstance(value, float)
            else ""
        )
        parts.append(f"{variable.written.partition(chr(0))[0]} = {text or quote(str(value))}")
    return ", ".join(parts) or "any values"
