"""The alerts of a backtest as a picture (SVG 1.1): a lane for each rule and vehicle, time from left to right.

A thin line is the time from an alert's beginning to its firing, a bar the time of firing; a bar that ends in
a point was firing when the trace ended. With another revision beside it, each lane is two: before above now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from pipeline.backtest.alerts import Alert

MOST_LANES = 400
_LANE, _LEFT, _WIDTH, _TOP = 18, 260, 1000, 46
_FILL = {"info": "#4a90d9", "warning": "#f0a30a", "critical": "#d13438"}
_PALE = "#9aa5b1"
_STEPS_S = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400, 604800, 2592000, 31536000)


def write_timeline(
    file: Path,
    alerts: Mapping[str, Alert],
    span: tuple[int, int],
    against: Mapping[str, Alert] | None = None,
) -> int:
    """Write the picture; the number of lanes that had no room. `span` in milliseconds since the epoch."""
    sides = [alerts] if against is None else [against, alerts]
    lanes = sorted({(it.rule, it.vehicle_id) for side in sides for it in side.values()})
    shown = lanes[:MOST_LANES]
    height = _LANE * len(sides)
    root = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        width=str(_LEFT + _WIDTH + 20),
        height=str(_TOP + max(1, len(shown)) * height + 20),
        attrib={"font-family": "sans-serif", "font-size": "11"},
    )
    ET.SubElement(root, "rect", width="100%", height="100%", fill="white")
    _axis(root, span, _TOP + len(shown) * height)
    if not shown:
        _text(root, _LEFT, _TOP + 12, "no alert fired")
    for number, lane in enumerate(shown):
        y = _TOP + number * height
        if number % 2:
            ET.SubElement(root, "rect", x="0", y=str(y), width="100%", height=str(height), fill="#f4f6f8")
        _text(root, 8, y + 13, f"{lane[0]}  {lane[1]}"[:42])
        for row, side in enumerate(sides):
            mine = [it for it in side.values() if (it.rule, it.vehicle_id) == lane]
            _bars(root, mine, span, y + row * _LANE, pale=len(sides) == 2 and row == 0)
    ET.indent(root)
    file.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))
    return len(lanes) - len(shown)


def _bars(root: ET.Element, alerts: Sequence[Alert], span: tuple[int, int], y: int, *, pale: bool) -> None:
    for alert in alerts:
        end = span[1] if alert.ends_at is None else alert.ends_at
        starts, fired, ends = (_x(at, span) for at in (alert.starts_at, alert.fired_at, end))
        colour = _PALE if pale else _FILL.get(alert.severity, _FILL["info"])
        group = ET.SubElement(root, "g", fill=colour, stroke=colour)
        title = ET.SubElement(group, "title")
        title.text = f"{alert.rule} {alert.vehicle_id} {alert.severity}: {_clock(alert.starts_at)} to " + (
            "the end of the trace" if alert.ends_at is None else f"{_clock(end)} ({alert.reason})"
        )
        middle = y + _LANE / 2
        ET.SubElement(group, "line", x1=f"{starts:.1f}", x2=f"{fired:.1f}", y1=f"{middle}", y2=f"{middle}")
        width = max(1.5, ends - fired)
        points = [(fired, y + 4), (fired + width, y + 4), (fired + width, y + 14), (fired, y + 14)]
        if alert.ends_at is None:
            points.insert(2, (fired + width + 5, y + 9))
        ET.SubElement(group, "polygon", points=" ".join(f"{x:.1f},{at}" for x, at in points))


def _axis(root: ET.Element, span: tuple[int, int], bottom: int) -> None:
    seconds = max(1, (span[1] - span[0]) // 1000)
    step = next((it for it in _STEPS_S if seconds / it <= 10), _STEPS_S[-1]) * 1000
    _text(root, 8, 16, f"{_clock(span[0])} to {_clock(span[1])} UTC")
    at = -(-span[0] // step) * step
    while at <= span[1]:
        x = f"{_x(at, span):.1f}"
        ET.SubElement(root, "line", x1=x, x2=x, y1=str(_TOP - 6), y2=str(bottom), stroke="#d5dbe1")
        middle = {"text-anchor": "middle"}
        label = ET.SubElement(root, "text", x=x, y=str(_TOP - 10), fill="#333", attrib=middle)
        moment = datetime.fromtimestamp(at / 1000, UTC)
        label.text = moment.strftime("%Y-%m-%d" if step >= 86_400_000 else "%H:%M:%S")
        at += step


def _x(at: int, span: tuple[int, int]) -> float:
    share = (at - span[0]) / max(1, span[1] - span[0])
    return _LEFT + _WIDTH * min(1.0, max(0.0, share))


def _clock(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _text(root: ET.Element, x: int, y: int, text: str) -> None:
    ET.SubElement(root, "text", x=str(x), y=str(y), fill="#222").text = _printable(text)


def _printable(text: str) -> str:
    """XML knows no control characters; a vehicle's id may hold any."""
    return "".join(it if it.isprintable() else "\N{REPLACEMENT CHARACTER}" for it in text)
