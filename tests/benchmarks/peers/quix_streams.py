"""The peer (b): Quix Streams, exactly once. The conditions as `if`s, its state for what is known.

Runs in an environment of its own, which `contenders.py` makes: its dependencies are not ours.
"""

import os
import signal
import sys
from types import FrameType
from typing import Any

from quixstreams import Application, State  # type: ignore[import-not-found]

sys.path.insert(0, os.environ["BENCHMARK_CODE"])
from hand_written import holding  # type: ignore[import-not-found]

app = Application(
    broker_address=os.environ["BENCHMARK_BOOTSTRAP"],
    consumer_group=os.environ["BENCHMARK_GROUP"],
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    commit_interval=int(os.environ["BENCHMARK_COMMIT_MS"]) / 1000,
    state_dir=os.environ["BENCHMARK_STATE"],
    loglevel="WARNING",
)
telemetry = app.topic(os.environ["BENCHMARK_INPUT"], value_deserializer="json")
output = app.topic(os.environ["BENCHMARK_OUTPUT"], value_serializer="json")


def judge(reading: dict[str, Any], state: State) -> list[dict[str, str]]:
    """What changed with this reading."""
    known = state.get("known", {})
    known.update(reading["signals"])
    state.set("known", known)
    now, before = holding(known), set(state.get("firing", ()))
    if now == before:
        return []
    state.set("firing", list(now))
    begun = [change(reading, rule, "firing") for rule in now - before]
    return begun + [change(reading, rule, "resolved") for rule in before - now]


def change(reading: dict[str, Any], rule: str, state: str) -> dict[str, str]:
    """One output record."""
    return {"vehicleId": reading["vehicleId"], "rule": rule, "state": state, "at": reading["ts"]}


def stop(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends it in order."""
    app.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    stream = app.dataframe(telemetry)
    stream.apply(judge, stateful=True, expand=True).to_topic(output)
    app.run()
