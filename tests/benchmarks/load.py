"""A fleet that only talks: so many MQTT messages a second, in a process of its own, until it is ended.

    python -m tests.benchmarks.load HOST PORT ROOT VEHICLES MESSAGES_A_SECOND

Each vehicle sends the benchmark's ten signals, with the time of now. A rate of 0 is as fast as the broker
acknowledges. Its own process, so that what measures is not slowed down by what it measures with.
"""

import random
import sys
import time

import orjson
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.benchmarks.workload import SIGNALS

WINDOW = 1000
TURN_S = 0.005


def main(host: str, port: int, root: str, vehicles: int, rate: float) -> None:
    """Publish for ever."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{root}-load", protocol=paho.MQTTv5)
    # At its own limit paho would send newer messages before queued ones.
    client.max_inflight_messages_set(0)
    acknowledged = 0

    def count(*_: object) -> None:
        nonlocal acknowledged
        acknowledged += 1

    client.on_publish = count
    client.connect(host, port)
    client.loop_start()
    choice = random.Random(5)
    values = [{name: round(choice.uniform(30, 70), 2) for name in SIGNALS} for _ in range(997)]
    sent, began = 0, time.monotonic()
    while True:
        due = int((time.monotonic() - began) * rate) if rate else sent + WINDOW
        while sent < due and sent - acknowledged < WINDOW:
            number, vehicle = divmod(sent, vehicles)
            payload = {"ts": time.time_ns() // 1_000_000, "seq": number, **values[sent % len(values)]}
            client.publish(f"{root}/load-{vehicle:05d}/telemetry", orjson.dumps(payload), qos=1)
            sent += 1
        time.sleep(TURN_S if rate else 0.0005)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
