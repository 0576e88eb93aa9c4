"""Is the new image worse than the old one? Judged from what both have counted over the same time.

Rates are for each record, so that it does not matter how many partitions each has. A difference that chance
explains is none: errors must exceed what the old rate lets expect by three standard deviations. A counter
that fell is that of a worker that has started again: it counts from zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from k8s.pipelines.readings import Counts
from k8s.pipelines.stages import Checks
from k8s.pipelines.status import Reading
from rules.documents.durations import format_duration

_SIGMAS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a canary, and why."""

    decision: Literal["wait", "waitForRecords", "promote", "rollBack"]
    message: str


@dataclass(frozen=True, slots=True)
class _Total:
    records: float
    errors: float
    outcomes: float
    lag: float


def baseline_of(counts: Mapping[str, Counts]) -> dict[str, Reading]:
    """What each worker had counted when the comparison began."""
    return {
        pod: Reading(records=int(each.records), errors=int(each.errors), outcomes=int(each.outcomes))
        for pod, each in counts.items()
    }


def judge(
    checks: Checks,
    *,
    canary: Mapping[str, Counts],
    stable: Mapping[str, Counts],
    baseline: Mapping[str, Reading],
    elapsed_ms: int,
    for_ms: int,
) -> Verdict:
    """Judge a canary that has been ready for `elapsed_ms`.

    What is clearly worse ends it at once; nothing promotes it before `for_ms` is over and enough was seen.
    """
    new, old = _total(canary, baseline), _total(stable, baseline)
    worse = _worse(checks, new, old if stable else None, final=elapsed_ms >= for_ms)
    if worse is not None:
        return Verdict("rollBack", worse)
    if elapsed_ms < for_ms:
        left = format_duration(math.ceil((for_ms - elapsed_ms) / 1000) * 1000)
        return Verdict("wait", f"compared for another {left}: {_told(new, old)}")
    silent = [name for name, workers in (("new", canary), ("old", stable)) if not workers]
    if silent and checks.min_records:
        which = f"the metrics of the {silent[0]} image's workers cannot be read"
        return Verdict("waitForRecords", f"{which}: nothing can be compared")
    if new.records < checks.min_records:
        few = f"{new.records:.0f} records seen, {checks.min_records} are needed"
        return Verdict("waitForRecords", few)
    return Verdict("promote", _told(new, old))


def _worse(checks: Checks, new: _Total, old: _Total | None, *, final: bool) -> str | None:
    """Why; None if it is not. Without the old image's figures only what is judged by itself is."""
    rate = _ratio(new.errors, new.records)
    # A worker may fail without finishing a record, so that it has errors only.
    seen = max(new.records, new.errors)
    if checks.max_error_rate is not None:
        allowed = checks.max_error_rate * seen
        if new.errors > allowed + _SIGMAS * math.sqrt(allowed + 1):
            limit = f"maxErrorRate is {checks.max_error_rate:g}"
            return f"errors are {_percent(rate)} of the records; {limit}"
    if final and checks.max_lag is not None and new.lag > checks.max_lag:
        return f"a worker is {new.lag:.0f} records behind; maxLag is {checks.max_lag}"
    if old is None:
        return None
    old_rate = _ratio(old.errors, old.records)
    expected = old_rate * checks.max_error_ratio * seen
    if new.errors > expected + _SIGMAS * math.sqrt(expected + 1):
        return (
            f"errors are {_percent(rate)} of the records, with the old image {_percent(old_rate)};"
            f" maxErrorRatio is {checks.max_error_ratio:g}"
        )
    if final and min(new.records, old.records) >= max(checks.min_records, 1):
        return _other_outcomes(checks, new, old)
    return None


def _other_outcomes(checks: Checks, new: _Total, old: _Total) -> str | None:
    """Whether outcomes are too many or too few: both ways alike."""
    ratio = checks.max_outcome_ratio
    told = (
        f"outcomes for each record are {_ratio(new.outcomes, new.records):.4g}, with the old image"
        f" {_ratio(old.outcomes, old.records):.4g}; maxOutcomeRatio is {ratio:g}"
    )
    most = _ratio(old.outcomes, old.records) * new.records * ratio
    if new.outcomes > most + _SIGMAS * math.sqrt(most + 1):
        return told
    least = _ratio(old.outcomes, old.records) * new.records / ratio
    if new.outcomes < least - _SIGMAS * math.sqrt(least + 1):
        return told
    return None


def _total(workers: Mapping[str, Counts], baseline: Mapping[str, Reading]) -> _Total:
    parts = [_since(counts, baseline.get(pod)) for pod, counts in workers.items()]
    return _Total(
        records=sum(part.records for part in parts),
        errors=sum(part.errors for part in parts),
        outcomes=sum(part.outcomes for part in parts),
        lag=_greatest(part.lag for part in parts),
    )


def _since(counts: Counts, before: Reading | None) -> Counts:
    if before is None or counts.records < before.records:
        return counts
    return Counts(
        counts.records - before.records,
        max(0.0, counts.errors - before.errors),
        max(0.0, counts.outcomes - before.outcomes),
        counts.lag,
    )


def _greatest(lags: Iterable[float | None]) -> float:
    return max((lag for lag in lags if lag is not None), default=0.0)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else (1.0 if part > 0 else 0.0)


def _percent(rate: float) -> str:
    return f"{min(rate, 1.0) * 100:.3g} %"


def _told(new: _Total, old: _Total) -> str:
    return (
        f"{new.records:.0f} records, errors {_percent(_ratio(new.errors, new.records))}"
        f" (old image: {old.records:.0f}, {_percent(_ratio(old.errors, old.records))})"
    )
