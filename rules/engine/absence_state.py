"""Silences as bytes: when each ear last heard something, and the alerts that were told.

Most ears heard the vehicle's last message, so only the others are kept with the values; and an ear that is
not among them, as that of a new rule is, has heard the last message.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rules.engine.absences import Heard, Told
from rules.engine.alerts import Alert, Phase
from rules.engine.programs import Programs


def pack_heard(programs: Programs, heard: Mapping[int, Heard], last: Heard) -> list[tuple[int, int, int]]:
    """(mark, receivedAt and live clock before those of the last message in time) of the ears that differ."""
    return [
        (programs.ear_marks[ear], last.at - it.at, last.live - it.live)
        for ear, it in sorted(heard.items())
        if it != last
    ]


def unpack_heard(
    programs: Programs, ears: Iterable[int], content: Iterable[Any], last: Heard
) -> dict[int, Heard]:
    """By ear, what it heard last."""
    known = {mark: Heard(last.at - at, last.live - live) for mark, at, live in content}
    return {ear: known.get(programs.ear_marks[ear], last) for ear in ears}


def pack_told(told: Told) -> tuple[Any, ...]:
    """A silence as plain data; instants are told from its beginning."""
    alert = told.alert
    since = alert.since
    return (
        alert.phase.value,
        since,
        alert.id,
        alert.records,
        alert.fired_at - since,
        alert.rung,
        None if alert.clear_since is None else alert.clear_since - since,
        alert.value,
        alert.peak,
        None if alert.ended_at is None else alert.ended_at - since,
        told.back_live,
        told.ended_live,
    )


def unpack_told(content: Any) -> Told:
    """Raises ValueError or TypeError for what is no silence."""
    phase, since, identity, records, fired, rung, clear, value, peak, ended, back_live, ended_live = content
    alert = Alert(
        phase=Phase(phase),
        since=since,
        id=identity,
        records=records,
        fired_at=since + fired,
        rung=rung,
        clear_since=None if clear is None else since + clear,
        value=value,
        peak=peak,
        ended_at=None if ended is None else since + ended,
        by_silence=True,
    )
    return Told(alert, back_live, ended_live)
