"""A rule's schedule, compiled, and what does not go together with it."""

from collections.abc import Sequence

from rules.compile.parts import Part
from rules.documents import WEEKDAYS, Span, format_duration
from rules.engine import schedules
from rules.engine.schedules import Schedule

_MINUTE_MS = 60_000
_CLOCK_CHANGE_MS = 3 * 3_600_000
"""No clock is changed by more."""


def schedule_of(part: Part, spans: Sequence[Span] | None, hold_ms: int = 0) -> Schedule | None:
    """When the rule is open, None for always. Find a hold that no opening is long enough for."""
    if spans is None or any(part.placed.document.findings()):
        return None
    schedule = Schedule(
        schedules.Span(
            days=frozenset(map(WEEKDAYS.index, span.days)),
            start=span.from_ * _MINUTE_MS,
            end=span.to * _MINUTE_MS,
            zone=span.time_zone,
        )
        for span in spans
    )
    if hold_ms:
        longest = schedule.longest()
        if hold_ms == longest or hold_ms >= longest + _CLOCK_CHANGE_MS:
            message = (
                f"this can never fire: it is to hold for {format_duration(hold_ms)}, "
                f"and the schedule is never open for longer than {format_duration(longest)}"
            )
            hint = "shorten for, or let a span begin where another ends"
            part.find("TT208", ("spec", "for"), message, hint=hint)
    return schedule
