"""The engine, one claim at a time; laws over random telemetry stand in test_laws.py."""

from rules.engine import AlertRecord, Engine, Event, Outcome, Rule, RuleSet, Signal
from rules.language import DOUBLE, Compiled, Environment

ENVIRONMENT = Environment({"speed": DOUBLE, "load": DOUBLE})


def expression(text: str) -> Compiled:
    compiled = ENVIRONMENT.compile(text)
    assert isinstance(compiled, Compiled), compiled
    return compiled


def engine(*rules: Rule, stale_after_ms: int | None = 300_000) -> Engine:
    return Engine(RuleSet({name: Signal(name, stale_after_ms) for name in ("speed", "load")}, rules))


def told(out: list[Outcome]) -> list[tuple[str, int, int, int | None]]:
    return [(it.state, it.starts_at, it.fired_at, it.ends_at) for it in out if isinstance(it, AlertRecord)]


def test_alert_fires_only_after_an_unbroken_hold() -> None:
    folded = engine(Rule("fast", expression("speed > 100"), for_ms=10_000))
    vehicle = folded.new_vehicle("v1")
    out: list[Outcome] = []
    for second, speed in enumerate([120.0] * 9 + [90.0] + [120.0] * 12 + [90.0]):
        folded.process(vehicle, Event(second * 1000, second * 1000, {"speed": speed}), 0, out)
    assert told(out) == [("firing", 10_000, 20_000, None), ("resolved", 10_000, 20_000, 22_000)]


def test_an_event_at_the_end_of_a_hold_wins_also_where_it_sweeps_up_an_earlier_timer() -> None:
    folded = engine(
        Rule("fast", expression("speed > 100"), for_ms=10_000),
        Rule("heavy", expression("load > 1"), for_ms=5_000),
    )
    vehicle = folded.new_vehicle("v1")
    out: list[Outcome] = []
    folded.process(vehicle, Event(0, 0, {"speed": 120.0, "load": 2.0}), 0, out)
    folded.process(vehicle, Event(10_000, 10_000, {"speed": 90.0}), 0, out)
    assert [(it.rule, it.fired_at) for it in out if isinstance(it, AlertRecord)] == [("heavy", 5_000)]
