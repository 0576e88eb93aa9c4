"""What is told of windows as time passes, the same for those of one vehicle and those of a group.

Time is an argument: of a vehicle it is its own, of a group that of the source that is furthest behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rules.engine import reports
from rules.engine.aggregation.alarms import Bearer
from rules.engine.aggregation.records import AggregateRecord, window_id
from rules.engine.aggregation.running import RunningAggregation, operand
from rules.engine.aggregation.vehicle import Status, Windows
from rules.engine.fold import Ongoing
from rules.engine.memory import FOREVER
from rules.engine.outcomes import RuleFailure
from rules.engine.reports import Reporter, first_record

_CLOSE, _FINAL, _TELL = 0, 1, 2


class Cause(NamedTuple):
    """What lets a window be told of: `silence`, `forgotten` or (None) a message, and when it was received."""

    by: str | None
    received_at: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What windows are of: a vehicle, or a group."""

    id: str
    group: Mapping[str, object]
    vehicle_id: str | None
    words: Mapping[str, object]
    """What `having` may name beside the aggregates."""

    @property
    def bearer(self) -> Bearer:
        """Whose alert it is."""
        return Bearer(self.id, self.group if self.vehicle_id is None else None)


class Teller:
    """Closes windows, corrects them, makes them final."""

    def __init__(self, rules: Sequence[RunningAggregation], revision: int) -> None:
        self._rules = rules
        self._revision = revision
        self._reporter = Reporter(revision)

    def touched(
        self,
        subject: Subject,
        rule: RunningAggregation,
        windows: Windows,
        pane: int,
        tell_at: int,
        cause: Cause,
        out: list[Any],
    ) -> None:
        """A pane has changed that does not wait: tell at once, or note that it is told of at `tell_at`."""
        emit = rule.rule.emit
        for status in rule.touched(windows, pane):
            if not status.dirty:
                status.dirty = windows.changed = True
            if emit == "onUpdate":
                self.tell(subject, rule, windows, status, cause, out)
        if emit != "onUpdate" and windows.tell_at == FOREVER:
            windows.tell_at = tell_at
            windows.changed = True

    def sweep(
        self,
        subject: Subject,
        all_windows: Mapping[int, Windows],
        limit: int,
        cause: Cause,
        out: list[Any],
    ) -> None:
        """Close, make final and tell all that was due before `limit`, in the order of its being due."""
        due: list[tuple[int, int, int, int, int]] = []
        for index, windows in all_windows.items():
            lateness = self._rules[index].lateness
            if windows.tell_at < limit:
                due.append((windows.tell_at, _TELL, index, 0, 0))
            for key, status in windows.windows.items():
                closes = status.end - 1
                if lateness and not status.closed and closes < limit:
                    due.append((closes, _CLOSE, index, status.end, key))
                if closes + lateness < limit:
                    due.append((closes + lateness, _FINAL, index, status.end, key))
        for _, what, index, _, key in sorted(due):
            rule, windows = self._rules[index], all_windows[index]
            windows.changed = True
            if what == _TELL:
                windows.tell_at = FOREVER
                for status in in_order(windows):
                    if status.dirty and (status.closed or rule.rule.emit == "every"):
                        self.tell(subject, rule, windows, status, cause, out)
                continue
            status = windows.windows[key]
            status.closed = True
            windows.closed_until = max(windows.closed_until, status.end)
            if what == _CLOSE:
                if status.dirty:
                    self.tell(subject, rule, windows, status, cause, out)
                continue
            if status.dirty or status.update:
                self.tell(subject, rule, windows, status, cause, out, final=True)
            del windows.windows[key]
            windows.final_until = max(windows.final_until, key if rule.fixed is None else status.end)
            rule.drop_panes(windows, status)

    def tell(
        self,
        subject: Subject,
        rule: RunningAggregation,
        windows: Windows,
        status: Status,
        cause: Cause,
        out: list[Any],
        *,
        final: bool = False,
    ) -> None:
        """Write what a window holds, unless nobody wants to know; what was told once is told on."""
        status.dirty = False
        windows.changed = True
        values = rule.values(rule.panes_of(windows, status))
        if not status.update:
            try:
                if not rule.is_wanted(values, subject.words):
                    return
            except Exception as error:
                out.append(RuleFailure(rule.name, subject.id, status.end, str(error)))
                return
        out.append(
            AggregateRecord(
                id=window_id(rule.lineage, subject.id, status.key),
                rule=rule.name,
                revision=self._revision,
                group=subject.group,
                subject=subject.id,
                vehicle_id=subject.vehicle_id,
                window_start=status.start,
                window_end=status.end,
                values=values,
                final=final,
                update=status.update,
                by=cause.by,
                received_at=cause.received_at,
            )
        )
        status.update += 1
        if status.closed and rule.alarm is not None:
            words = {**subject.words, **{name: operand(value) for name, value in values.items()}}
            why = reports.Cause(cause.received_at, None if cause.by else status.end)
            rule.alarm.judge(subject.bearer, windows, status, words, why, self._reporter, out)

    def forget(
        self,
        subject: Subject,
        rule: RunningAggregation,
        windows: Windows,
        at: int,
        cause: Cause,
        out: list[Any],
    ) -> None:
        """Make every window final at once, and end the alert."""
        for status in in_order(windows):
            self.tell(subject, rule, windows, status, cause, out, final=True)
        self.end(subject, rule, windows, at, "forgotten", Cause("registry", cause.received_at), out)

    def retire(
        self,
        subject: Subject,
        rule: RunningAggregation,
        windows: Windows,
        at: int,
        received_at: int,
        out: list[Any],
    ) -> None:
        """The rule is no more: its alert ends, and nothing is told of its open windows."""
        self.end(subject, rule, windows, at, "deleted", Cause("rules", received_at), out)

    def end(
        self,
        subject: Subject,
        rule: RunningAggregation,
        windows: Windows,
        at: int,
        reason: str,
        cause: Cause,
        out: list[Any],
    ) -> None:
        """End the alert, if one fires."""
        if rule.alarm is not None:
            why = reports.Cause(cause.received_at, None, cause.by)
            rule.alarm.end(subject.bearer, windows, at, reason, why, self._reporter, out)

    def announce(
        self,
        subject: Subject,
        rule: RunningAggregation,
        windows: Windows,
        cause: Cause,
        out: list[Any],
        *,
        others: Ongoing,
    ) -> None:
        """Act in place of another set: tell of an alert that fires, unless it is known.

        Updates go on from the other's. Of a window that it does not have any more it may have told anything.
        """
        for key, status in windows.windows.items():
            told = others.updates.get(window_id(rule.lineage, subject.id, key))
            if told is None and status.closed:
                told = first_record(others.revision)
            if told is not None and told > status.update:
                status.update, windows.changed = told, True
        if rule.alarm is not None:
            why = reports.Cause(cause.received_at, None, cause.by)
            rule.alarm.announce(subject.bearer, windows, why, self._reporter, out, others=others)


def in_order(windows: Windows) -> list[Status]:
    """The windows by their ends."""
    return sorted(windows.windows.values(), key=lambda it: (it.end, it.start))
