"""The vehicle's messages in a file, through the rule that is asked about: the way of a backtest."""

from __future__ import annotations

from pipeline.backtest.files import open_trace
from pipeline.backtest.messages import Order
from pipeline.backtest.replay import Replay
from pipeline.backtest.rulesets import read_rules, registrations, wanted_signals
from pipeline.explain.asked import Question, watch
from pipeline.process.failures import TelltaleError
from rules.explain import Watch


class VehicleMissing(TelltaleError):
    """The trace says nothing of the vehicle, or nothing before the instant."""

    exit_code = 1


def watch_files(question: Question) -> tuple[Watch, int]:
    """The rule after all messages up to the instant, and the instant. Raises TraceError, VehicleMissing."""
    asked = question.asked
    rules = read_rules(asked.rules, None)
    watched = watch(question)
    replay = Replay({"alerts": watched}, registrations(asked.vehicles))
    order = Order()
    others: set[str] = set()

    def mine(vehicle_id: str) -> bool:
        if vehicle_id != question.vehicle and len(others) < 5:
            others.add(vehicle_id)
        return vehicle_id == question.vehicle

    for file in asked.files:
        trace = open_trace(file, rules, wanted_signals([rules]), asked)
        for message in trace.messages(mine, order):
            if question.at is None or message.event.received_at <= question.at:
                replay.hear(message)
    end = question.at if question.at is not None else replay.last
    if replay.last is None or end is None:
        when = "" if question.at is None else " before that instant"
        hint = f"; it has {', '.join(sorted(others))}" if others else ""
        raise VehicleMissing(f"the trace says nothing of {question.vehicle}{when}{hint}")
    replay.finish(end)
    return watched, end
