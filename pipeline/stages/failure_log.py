"""A failing rule is a line in the log, with its vehicle and event, at most once a minute for each rule."""

import structlog

from rules.engine.outcomes import RuleFailure

LOG_EVERY_MS = 60_000


class FailureLog:
    """The failures of one worker's rules. A minute is one of event time."""

    def __init__(self, stage: str) -> None:
        self._logged: dict[str, int] = {}
        self._log = structlog.get_logger(f"telltale.{stage}")

    def tell(self, failure: RuleFailure) -> None:
        """Log it, unless one of its rule was logged just now."""
        last = self._logged.get(failure.rule)
        if last is None or abs(failure.ts - last) >= LOG_EVERY_MS:
            self._logged[failure.rule] = failure.ts
            self._log.warning(
                "A rule failed on an event; other rules are not affected",
                rule=failure.rule,
                vehicle=failure.vehicle_id,
                event_time_ms=failure.ts,
                error=failure.error,
            )
