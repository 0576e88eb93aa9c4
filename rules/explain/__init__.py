"""Why a rule did or did not fire: its conditions taken apart, and the moments that moved it."""

from rules.explain.judging import Judgement, Part, Value
from rules.explain.telling import as_json, judgement_lines, moment_line, verdict
from rules.explain.watching import Moment, State, Watch

__all__ = [
    "Judgement",
    "Moment",
    "Part",
    "State",
    "Value",
    "Watch",
    "as_json",
    "judgement_lines",
    "moment_line",
    "verdict",
]
