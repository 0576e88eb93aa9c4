"""Six rules over the real drives, windows included: a backtest says, row by row, what plain loops say.

One row is one second. Nothing here knows the engine: each condition is judged at each row over lists.
"""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.backtest.asked import Asked, Gaps
from pipeline.backtest.running import backtest
from rules.instants import parse_instant
from tests.backtest.rulebook import START
from tests.documents.test_drives import DRIVES, OBD

RULES = Path(__file__).parent / "drives" / "rules.yaml"
COLUMNS = {"speed": "VEHICLE_SPEED ()", "rpm": "ENGINE_RPM ()", "coolant": "COOLANT_TEMPERATURE ()"}


class Alert(NamedTuple):
    """Seconds are row numbers; `ended` is None where the drive ended first."""

    rule: str
    started: int
    fired: int
    ended: int | None
    value: float
    """At firing."""


Row = dict[str, float]
Judge = Callable[[Sequence[Row], int], bool]
Measure = Callable[[Sequence[Row], int], float]


def read_rows(drive: Path) -> list[Row]:
    lines = drive.read_text(encoding="utf-8").splitlines()
    header = [name.strip() for name in lines[0].split(",")]
    places = {name: header.index(column) for name, column in COLUMNS.items()}
    cells = [line.split(",") for line in lines[1:] if line.strip()]
    return [{name: float(row[place]) for name, place in places.items()} for row in cells]


def alerts(
    rule: str,
    rows: Sequence[Row],
    holds: Judge,
    value: Measure,
    *,
    hold: int = 0,
    count: int = 1,
    clears: Judge | None = None,
    keep: int = 0,
    cooldown: int = 0,
) -> list[Alert]:
    """The life of a rule's alerts, a row at a time."""
    found: list[Alert] = []
    since = fired = clearing = None
    seen, rests, measured = 0, 0, 0.0
    for at in range(len(rows)):
        truth = holds(rows, at)
        if fired is None:
            if not truth or (since is None and at < rests):
                since, seen = None, 0
                continue
            since = at if since is None else since
            seen += 1
            if at - since >= hold and seen >= count:
                fired, measured = at, value(rows, at)
            continue
        assert since is not None
        if clears(rows, at) if clears is not None else not truth:
            clearing = at if clearing is None else clearing
            if at - clearing >= keep:
                found.append(Alert(rule, since, fired, at, measured))
                since = fired = clearing = None
                seen, rests = 0, at + cooldown
        else:
            clearing = None
    if fired is not None:
        assert since is not None
        found.append(Alert(rule, since, fired, None, measured))
    return found


def window(rows: Sequence[Row], at: int, name: str, seconds: int) -> list[float]:
    """The samples of (at - seconds, at]."""
    return [row[name] for row in rows[max(0, at - seconds + 1) : at + 1]]


def delta(rows: Sequence[Row], at: int) -> float:
    return rows[at]["speed"] - rows[at - 1]["speed"] if at else 0.0


def percentile(values: Sequence[float], percent: float) -> float:
    """Between the two nearest ranks, as docs/windows.md says."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def recomputed(rows: Sequence[Row]) -> list[Alert]:
    def spread(rows: Sequence[Row], at: int) -> float:
        values = window(rows, at, "rpm", 30)
        return max(values) - min(values)

    def jumps(rows: Sequence[Row], at: int) -> bool:
        values = window(rows, at, "speed", 20)
        return len(values) >= 20 and statistics.pstdev(values) > 8

    return [
        *alerts(
            "idling",
            rows,
            lambda rows, at: rows[at]["rpm"] > 0 and rows[at]["speed"] == 0,
            lambda rows, at: rows[at]["rpm"],
            hold=60,
        ),
        *alerts(
            "coolant",
            rows,
            lambda rows, at: rows[at]["coolant"] > 92,
            lambda rows, at: rows[at]["coolant"],
            hold=10,
            clears=lambda rows, at: rows[at]["coolant"] < 89,
            keep=5,
        ),
        *alerts("braking", rows, lambda rows, at: delta(rows, at) < -6, delta, cooldown=30),
        *alerts(
            "brisk",
            rows,
            lambda rows, at: statistics.fmean(window(rows, at, "speed", 60)) > 40,
            lambda rows, at: statistics.fmean(window(rows, at, "speed", 60)),
            hold=15,
        ),
        *alerts(
            "restless",
            rows,
            lambda rows, at: spread(rows, at) > 1500,
            lambda rows, at: rows[at]["rpm"],
            hold=20,
        ),
        *alerts(
            "jumpy", rows, jumps, lambda rows, at: percentile(window(rows, at, "speed", 20), 90), count=3
        ),
    ]


def backtested(drive: Path) -> list[Alert]:
    asked = Asked((RULES, OBD / "catalog.yaml"), (drive,), gaps=Gaps("v1", START, 1000))
    found: dict[str, Alert] = {}
    for told in backtest(asked, lambda *_: None).told:
        said = json.loads(told.value)
        started, fired = (_second(said[name]) for name in ("startsAt", "firedAt"))
        ended = None if said["endsAt"] is None else _second(said["endsAt"])
        value = found[said["id"]].value if said["id"] in found else said["value"]
        found[said["id"]] = Alert(said["rule"], started, fired, ended, value)
    return list(found.values())


def _second(text: str) -> int:
    return (parse_instant(text) - START) // 1000


@pytest.mark.parametrize("drive", DRIVES, ids=lambda file: file.stem)
def test_a_backtest_says_of_a_drive_what_plain_loops_say(drive: Path) -> None:
    found, expected = sorted(backtested(drive)), sorted(recomputed(read_rows(drive)))
    assert [it[:4] for it in found] == [it[:4] for it in expected]
    assert [it.value for it in found] == pytest.approx([it.value for it in expected])


def test_every_rule_fires_in_some_drive() -> None:
    if len(DRIVES) > 1:
        fired = {it.rule for drive in DRIVES for it in recomputed(read_rows(drive))}
        assert fired == {"idling", "coolant", "braking", "brisk", "restless", "jumpy"}
