"""Alerts on what windows say: one for each vehicle or group, judged once a window has closed.

It fires with the first window for which `when` holds and is resolved by the next one for which it does not.
Windows are judged in the order of their ends: a correction counts as long as no later window has closed.
What is not known moves nothing, and neither does a window that nobody is told of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rules.engine.aggregation.vehicle import Alerted, Status, Windows
from rules.engine.alerts import Alert
from rules.engine.events import Position
from rules.engine.expressions import Expression
from rules.engine.fold import Ongoing, Open
from rules.engine.memory import Look, Memory, layout_for
from rules.engine.outcomes import RuleFailure, alert_id
from rules.engine.reports import Cause, Occasion, Reporter, first_record
from rules.engine.ruleset import Alarm
from rules.engine.running import Face
from rules.language.values import UNKNOWN

_NO_SIGNALS = layout_for({}, ())


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose alert it is, as its records name it."""

    vehicle_id: str
    """Of a group its key."""
    group: Mapping[str, object] | None = None
    position: Position | None = None


class RunningAlarm:
    """The alert of one rule."""

    __slots__ = ("_face", "_lineage", "_lowest", "_value", "_when")

    def __init__(self, alarm: Alarm, lineage: str) -> None:
        self._when = Expression(alarm.when, _NO_SIGNALS)
        self._value = None if alarm.value is None else Expression(alarm.value, _NO_SIGNALS)
        self._lowest = alarm.lowest
        self._face = Face(alarm, alarm.telling, _NO_SIGNALS)
        self._lineage = lineage

    @property
    def severity(self) -> str:
        """Of the alert, always the same."""
        return self._face.ladder[0][0]

    def judge(
        self,
        bearer: Bearer,
        windows: Windows,
        status: Status,
        words: Mapping[str, object],
        cause: Cause,
        reporter: Reporter,
        out: list[Any],
    ) -> None:
        """A window has closed, or was corrected. `words` are its results and what else may be named."""
        alerted = windows.alerted or Alerted()
        if status.end < alerted.judged:
            return
        memory = Memory.empty(_NO_SIGNALS)
        memory.facts = words
        look = Look(memory, bearer.vehicle_id, status.end)
        try:
            holds = self._when.truth(look)
            value = UNKNOWN if self._value is None else self._value.value(look)
        except Exception as error:
            out.append(RuleFailure(self._face.rule.name, bearer.vehicle_id, status.end, str(error)))
            return
        windows.alerted = alerted
        windows.changed = True
        is_correction, alerted.judged = status.end == alerted.judged, status.end
        if holds is None:
            return
        if value is not UNKNOWN:
            alerted.value = value
        if holds and not alerted.is_firing:
            alerted.ordinal = alerted.ordinal + 1 if alerted.since == status.start else 0
            alerted.since, alerted.fired_at, alerted.is_firing = status.start, status.end, True
            alerted.peak = None
            self._measure(alerted)
            occasion = Occasion("firing", status.end, is_new=True)
            self._report(bearer, alerted, occasion, cause, look, reporter, out)
        elif holds:
            self._measure(alerted)
        elif alerted.is_firing:
            was_wrong = is_correction and alerted.since == status.start
            occasion = Occasion("resolved", status.end, "corrected" if was_wrong else "cleared")
            self._resolve(bearer, alerted, occasion, cause, look, reporter, out)

    def end(
        self,
        bearer: Bearer,
        windows: Windows,
        at: int,
        reason: str,
        cause: Cause,
        reporter: Reporter,
        out: list[Any],
    ) -> None:
        """The vehicle is forgotten, or the rule is no more: what fires ends."""
        alerted = windows.alerted
        if alerted is not None and alerted.is_firing:
            look = Look(Memory.empty(_NO_SIGNALS), bearer.vehicle_id, at)
            occasion = Occasion("resolved", max(at, alerted.fired_at), reason)
            self._resolve(bearer, alerted, occasion, cause, look, reporter, out)

    def id_of(self, bearer_id: str, windows: Windows) -> str:
        """The id of the alert, which fires or did so last."""
        alerted = windows.alerted or Alerted()
        return str(alert_id(self._lineage, bearer_id, alerted.since, alerted.ordinal))

    def announce(
        self,
        bearer: Bearer,
        windows: Windows,
        cause: Cause,
        reporter: Reporter,
        out: list[Any],
        *,
        others: Ongoing,
    ) -> None:
        """Another set has acted for the vehicle: tell what fires here, unless it is known as it is.

        Of a window that is yet to be corrected the other set may have told what is told here then.
        """
        alerted = windows.alerted = windows.alerted or Alerted()
        alerted.records = max(alerted.records, first_record(others.revision))
        windows.changed = True
        if not alerted.is_firing:
            return
        known = others.open
        name = self.id_of(bearer.vehicle_id, windows)
        if known.get(name) != Open(self._face.rule.name, self.severity):
            look = Look(Memory.empty(_NO_SIGNALS), bearer.vehicle_id, alerted.fired_at)
            occasion = Occasion("firing", alerted.fired_at, is_new=name not in known)
            self._report(bearer, alerted, occasion, cause, look, reporter, out)

    def _resolve(
        self,
        bearer: Bearer,
        alerted: Alerted,
        occasion: Occasion,
        cause: Cause,
        look: Look,
        reporter: Reporter,
        out: list[Any],
    ) -> None:
        self._report(bearer, alerted, occasion, cause, look, reporter, out)
        alerted.is_firing = False
        alerted.records = 0

    def _measure(self, alerted: Alerted) -> None:
        """The peak is the highest value; the lowest, where low ones are the bad ones."""
        value = alerted.value
        if type(value) not in (int, float):
            return
        assert isinstance(value, int | float)
        if alerted.peak is None or (value < alerted.peak if self._lowest else value > alerted.peak):
            alerted.peak = value

    def _report(
        self,
        bearer: Bearer,
        alerted: Alerted,
        occasion: Occasion,
        cause: Cause,
        look: Look,
        reporter: Reporter,
        out: list[Any],
    ) -> None:
        alert = Alert(
            since=alerted.since,
            id=alert_id(self._lineage, bearer.vehicle_id, alerted.since, alerted.ordinal).bytes,
            records=alerted.records,
            fired_at=alerted.fired_at,
            value=alerted.value,
            peak=alerted.peak,
            ended_at=occasion.at,
        )
        reporter.report(
            bearer, self._face, alert, occasion, cause=cause, look=look, out=out, group=bearer.group
        )
        alerted.records = alert.records
