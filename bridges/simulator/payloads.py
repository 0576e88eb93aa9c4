"""What a telematic unit writes: JSON with short keys, sparse after the first message.

Speed and position are in every message; what changes slowly is sent every fifth, and at once when
it is a switch that has just changed. The shipped catalog (rules/library/catalog.yaml) maps these keys.
"""

from __future__ import annotations

import orjson

from bridges.simulator.characters import Trouble
from bridges.simulator.physics import engine_speed
from bridges.simulator.vehicles import WHEELS, Vehicle

SLOW_EVERY = 5
"""Every so many messages the slow signals are sent again."""


class Telematics:
    """One vehicle's unit: it counts its messages, and forgets what it has sent when it starts anew."""

    def __init__(self, vehicle: Vehicle) -> None:
        self._vehicle = vehicle
        self._sequence = 0
        self._switches: dict[str, object] = {}

    @property
    def sequence(self) -> int:
        """The number of the last message."""
        return self._sequence - 1

    def restart(self) -> None:
        """The unit reboots: its sequence starts again, and its next message is complete."""
        self._sequence = 0
        self._switches = {}

    def message(self, sampled_ms: int) -> dict[str, object]:
        """The next message of the vehicle as it is now."""
        vehicle = self._vehicle
        latitude, longitude = vehicle.route.position(vehicle.progress.leg, vehicle.progress.driven_m)
        document: dict[str, object] = {
            "ts": sampled_ms,
            "seq": self._sequence,
            "pos": {"lat": round(latitude, 6), "lon": round(longitude, 6), "acc": 4.0},
            "speed": round(vehicle.speed_kmh, 1),
        }
        switches = _switches(vehicle)
        if self._sequence % SLOW_EVERY == 0:
            document.update(_slow(vehicle))
            document.update(switches)
        else:
            document.update({key: on for key, on in switches.items() if self._switches.get(key) != on})
        self._switches = switches
        self._sequence += 1
        return document


def encode(document: dict[str, object]) -> bytes:
    """The payload's bytes."""
    return orjson.dumps(document)


def _switches(vehicle: Vehicle) -> dict[str, object]:
    switches: dict[str, object] = {
        "belt": Trouble.UNBELTED not in vehicle.troubles,
        "doorOpen": Trouble.DOOR_AJAR in vehicle.troubles,
    }
    if not vehicle.character.electric:
        switches["engineOn"] = vehicle.engine.running
    return switches


def _slow(vehicle: Vehicle) -> dict[str, object]:
    slow: dict[str, object] = {
        "odometer": round(vehicle.odometer_m / 1000, 1),
        "ambient": vehicle.ambient_c,
        "tyres": {
            name: round(tyre.pressure_kpa, 1) for name, tyre in zip(WHEELS, vehicle.tyres, strict=True)
        },
    }
    if vehicle.character.electric:
        slow["soc"] = round(vehicle.battery.charge_percent, 2)
        slow["batteryAvg"] = round(vehicle.battery.temperature_c, 1)
        slow["batteryMax"] = round(vehicle.battery.hottest_c, 1)
    else:
        slow["coolant"] = round(vehicle.engine.coolant_c, 1)
        slow["rpm"] = round(engine_speed(vehicle.progress.speed, vehicle.engine.running))
    return slow
