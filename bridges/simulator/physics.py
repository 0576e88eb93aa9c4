"""Energy and heat follow from speed and acceleration; nothing is drawn at random here.

Longitudinal dynamics: power at the wheels = (inertia + rolling + air) × speed. Temperatures are
first-order lags towards what the load asks for; tyre pressure follows the ideal gas law. Units
are SI and °C; state of charge is in percent; pressures are gauge, in kPa.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

AIR_DENSITY = 1.2
GRAVITY = 9.81
ATMOSPHERE_KPA = 101.3
KELVIN = 273.15


@dataclass(frozen=True, slots=True)
class Body:
    """What a vehicle is made of: kg, m², and the losses of its drive."""

    mass_kg: float = 1_900.0
    drag_area: float = 0.62
    rolling: float = 0.010
    drive_efficiency: float = 0.88
    regeneration: float = 0.60
    auxiliary_w: float = 600.0


def wheel_power(body: Body, speed: float, acceleration: float) -> float:
    """Power at the wheels in W; negative while braking."""
    force = body.mass_kg * acceleration + 0.5 * AIR_DENSITY * body.drag_area * speed * speed
    if speed > 0.0:
        force += body.mass_kg * GRAVITY * body.rolling
    return force * speed


def electric_power(body: Body, wheel_w: float) -> float:
    """What the battery gives (positive) or takes back, auxiliaries included, in W."""
    if wheel_w >= 0.0:
        return wheel_w / body.drive_efficiency + body.auxiliary_w
    return max(wheel_w * body.regeneration, -60_000.0) + body.auxiliary_w


def lag(value: float, target: float, time_constant_s: float, step_s: float) -> float:
    """One exact step of a first-order lag: right for any step, never beyond the target."""
    return target + (value - target) * math.exp(-step_s / time_constant_s)


@dataclass(slots=True)
class Battery:
    """A traction battery: what it holds, how warm it is on average and in its hottest cell."""

    charge_percent: float
    temperature_c: float
    capacity_kwh: float = 75.0
    runaway_c_per_s: float = 0.0
    """A damaged cell heats itself; above zero the hottest cell leaves the others behind."""
    hottest_c: float = -KELVIN

    def __post_init__(self) -> None:
        self.hottest_c = max(self.hottest_c, self.temperature_c + 1.0)

    def step(self, power_w: float, ambient_c: float, step_s: float) -> None:
        """Gives or takes `power_w` for one step; losses of 4 % become heat that the coolant carries off."""
        self.charge_percent -= power_w * step_s / (self.capacity_kwh * 36_000.0)
        self.charge_percent = min(100.0, max(0.0, self.charge_percent))
        target_c = ambient_c + 6.0 + 0.04 * abs(power_w) / 120.0
        self.temperature_c = lag(self.temperature_c, target_c, 900.0, step_s)
        if self.runaway_c_per_s > 0.0:
            self.hottest_c = min(240.0, self.hottest_c + self.runaway_c_per_s * step_s)
        else:
            self.hottest_c = lag(
                self.hottest_c, self.temperature_c + 1.0 + abs(power_w) / 60_000.0, 15.0, step_s
            )


@dataclass(slots=True)
class Engine:
    """A combustion engine's coolant; the thermostat holds it unless the pump is broken."""

    coolant_c: float
    running: bool = True
    cooling: float = 1.0
    """The share of its cooling that still works."""

    def step(self, wheel_w: float, ambient_c: float, step_s: float) -> None:
        """Warms towards the thermostat's 90 °C and beyond it by what the radiator cannot carry off."""
        if not self.running:
            self.coolant_c = lag(self.coolant_c, ambient_c, 3_000.0, step_s)
            return
        heat_w = 4_000.0 + 0.9 * max(0.0, wheel_w)
        excess_c = heat_w * (1.0 - self.cooling) / 150.0
        time_constant_s = 150.0 if self.cooling > 0.5 else 45.0
        target_c = 90.0 + min(6.0, heat_w / 10_000.0) + excess_c
        self.coolant_c = lag(self.coolant_c, min(target_c, 138.0), time_constant_s, step_s)


def engine_speed(speed: float, running: bool) -> float:
    """Revolutions a minute through a stepped gearbox: idle at rest, 1,500 to 3,000 on the road."""
    if not running:
        return 0.0
    speed_kmh = speed * 3.6
    if speed_kmh < 5.0:
        return 820.0
    for top_kmh, per_kmh in ((18.0, 130.0), (35.0, 72.0), (55.0, 48.0), (85.0, 34.0)):
        if speed_kmh < top_kmh:
            return max(1_100.0, speed_kmh * per_kmh)
    return speed_kmh * 25.0


@dataclass(slots=True)
class Tyre:
    """One tyre: its pressure when cold (20 °C), its temperature, and what it loses."""

    cold_kpa: float
    temperature_c: float = 20.0
    leak_kpa_per_s: float = 0.0

    def step(self, speed: float, ambient_c: float, step_s: float) -> None:
        """Rolling warms it, standing cools it, a puncture lets air out."""
        self.temperature_c = lag(self.temperature_c, ambient_c + 0.9 * speed, 600.0, step_s)
        self.cold_kpa = max(0.0, self.cold_kpa - self.leak_kpa_per_s * step_s)

    @property
    def pressure_kpa(self) -> float:
        """Gauge pressure at the present temperature (ideal gas at constant volume)."""
        warm = (self.temperature_c + KELVIN) / (20.0 + KELVIN)
        return max(0.0, (self.cold_kpa + ATMOSPHERE_KPA) * warm - ATMOSPHERE_KPA)
