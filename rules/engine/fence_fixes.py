"""What a fix says of a visit: where it lies, whether anything changes, and what happens then."""

from rules.engine.events import Position
from rules.engine.ruleset import FenceRule
from rules.engine.visits import Happening, Lies, Phase, Visit, close, observe
from rules.geometry import Shape
from rules.geometry.shapes import is_beyond


def where(shape: Shape, position: Position, buffer_meters: float, *, is_within: bool) -> Lies:
    """Where a fix lies; the distance is asked for only where a buffer makes it matter."""
    if is_within:
        return Lies.WITHIN
    if buffer_meters == 0.0 or is_beyond(shape, position[0], position[1], buffer_meters):
        return Lies.BEYOND
    return Lies.NEAR


def goes_on(visit: Visit, rule: FenceRule, shape: Shape, at: int) -> bool:
    """Whether one more fix inside changes nothing of a visit: so it is with nearly all."""
    return (
        visit.phase is Phase.INSIDE
        and visit.is_within
        and visit.digest == shape.digest
        and (rule.dwell_ms is None or visit.has_dwelled or at - visit.since < rule.dwell_ms)
    )


def observed(
    visit: Visit, rule: FenceRule, shape: Shape, lies: Lies, ts: int, at: int
) -> tuple[Visit | None, list[Happening]]:
    """Apply a fix to a visit. One whose fence was edited is judged anew."""
    if visit.digest != shape.digest:
        if lies is Lies.BEYOND or (visit.phase is Phase.ENTERING and lies is not Lies.WITHIN):
            return None, close(visit, at, "fenceChanged")
        visit.digest = shape.digest
    contradicts = visit.by_silence and ts <= visit.entered_at
    return observe(visit, rule, lies, at, contradicts=contradicts)
