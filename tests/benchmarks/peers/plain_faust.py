"""The peer (a): a plain Faust agent. The conditions as `if`s, a Table for what is known of a vehicle.

Nothing clever and nothing clumsy: what Faust's own documentation shows. One Table update for each record,
as the last-known values change with each; at least once, Faust's default.
"""

import os
import sys

import faust

sys.path.insert(0, os.environ["BENCHMARK_CODE"])
from hand_written import holding  # type: ignore[import-not-found]

PARTITIONS = int(os.environ["BENCHMARK_PARTITIONS"])

app = faust.App(
    os.environ["BENCHMARK_GROUP"],
    broker=f"kafka://{os.environ['BENCHMARK_BOOTSTRAP']}",
    store="memory://",
    datadir=os.environ["BENCHMARK_STATE"],
    topic_partitions=PARTITIONS,
    topic_disable_leader=True,
    web_enabled=False,
    key_serializer="raw",
    value_serializer="json",
)
telemetry = app.topic(os.environ["BENCHMARK_INPUT"], key_type=bytes)
output = app.topic(os.environ["BENCHMARK_OUTPUT"], key_type=bytes)
vehicles = app.Table("vehicles", default=dict, partitions=PARTITIONS)


@app.agent(telemetry)
async def alerts(stream: faust.Stream) -> None:
    """Judge each reading, and say what changed."""
    async for reading in stream:
        vehicle = reading["vehicleId"]
        state = vehicles[vehicle]
        known = state.get("known", {})
        known.update(reading["signals"])
        now, before = holding(known), set(state.get("firing", ()))
        if now != before:
            key = vehicle.encode()
            for rule in now - before:
                await output.send(key=key, value=change(vehicle, rule, "firing", reading["ts"]))
            for rule in before - now:
                await output.send(key=key, value=change(vehicle, rule, "resolved", reading["ts"]))
        vehicles[vehicle] = {"known": known, "firing": list(now)}


def change(vehicle: str, rule: str, state: str, at: str) -> dict[str, str]:
    """One output record."""
    return {"vehicleId": vehicle, "rule": rule, "state": state, "at": at}


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "--loglevel", "warn", "--without-web"]
    app.main()
