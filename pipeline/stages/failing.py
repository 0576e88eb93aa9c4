"""Which rules fail again and again in this worker, since it runs the revision that it runs."""

from rules.engine.outcomes import RuleFailure

_REPEATEDLY = 3
_MOST_RULES = 100
_MOST_TEXT = 300


class Failing:
    """Failures by rule. An odd one is a vehicle's; several are the rule's."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, str]] = {}

    def happened(self, failure: RuleFailure) -> None:
        """A rule had no value for an event."""
        count, _ = self._failures.get(failure.rule, (0, ""))
        self._failures[failure.rule] = (count + 1, failure.error)

    def begin(self) -> None:
        """Another revision runs from now on."""
        self._failures.clear()

    def to_records(self) -> list[dict[str, object]]:
        """As telltale.rule-status has it: those that failed most, the most often first."""
        often = sorted(
            (-count, rule, error) for rule, (count, error) in self._failures.items() if count >= _REPEATEDLY
        )
        return [
            {"rule": rule, "count": -count, "error": error[:_MOST_TEXT] or "unknown"}
            for count, rule, error in often[:_MOST_RULES]
        ]
