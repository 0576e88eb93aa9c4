"""A vehicle is a route, a driver and a body, moved in steps; its readings are what sensors would show.

Everything follows from its number, the seed and its character: the same three give the same
vehicle, second for second.
"""

from __future__ import annotations

from random import Random

from bridges.simulator.characters import Character, Trouble
from bridges.simulator.driving import Progress, Temper, drive
from bridges.simulator.physics import (
    Battery,
    Body,
    Engine,
    Tyre,
    electric_power,
    wheel_power,
)
from bridges.simulator.roads import loop

DEPOT = (31.2304, 121.4737)
"""Where the fleet is at home (latitude, longitude)."""

CHARGE_AT_PERCENT = 5.0
CHARGED_PERCENT = 80.0
CHARGER_W = 120_000.0
HURRIED_OF_LIMIT = 1.38
FRIGHT_BRAKING = 8.5
PUNCTURE_KPA_PER_S = 0.12
RUNAWAY_C_PER_S = 2.4
WHEELS = ("frontLeft", "frontRight", "rearLeft", "rearRight")


class Vehicle:
    """The state of one simulated vehicle. Speed in m/s inside, km/h in its readings."""

    def __init__(self, number: int, character: Character, *, seed: int) -> None:
        random = Random(f"{seed}/{number}")
        self.character = character
        self.body = Body() if character.electric else Body(mass_kg=2_400.0, drag_area=0.9)
        self.ambient_c = round(random.uniform(8.0, 28.0), 1)
        reach = 0.0 if character.at_home else 0.25
        self.route = loop(
            character.terrain,
            random,
            latitude=DEPOT[0] + random.uniform(-reach, reach),
            longitude=DEPOT[1] + random.uniform(-reach, reach),
        )
        self.progress = Progress(leg=random.randrange(len(self.route.legs)))
        self.odometer_m = random.uniform(2e6, 9e7)
        self.troubles: frozenset[Trouble] = frozenset()
        self.charging = False
        self.acceleration = 0.0
        self.battery = Battery(character.charge_percent + random.uniform(-1.5, 1.5), self.ambient_c + 8.0)
        self.engine = Engine(coolant_c=88.0)
        self.tyres = [Tyre(character.tyre_kpa + random.uniform(-4.0, 4.0), self.ambient_c) for _ in WHEELS]

    @property
    def speed_kmh(self) -> float:
        """What the speedometer shows."""
        return self.progress.speed * 3.6

    @property
    def at_rest(self) -> bool:
        """Tell whether the vehicle stands."""
        return self.progress.speed == 0.0

    def step(self, at_s: float, step_s: float) -> None:
        """Moves the vehicle to the second `at_s` of the fleet's time, which is `step_s` after its last."""
        before = self.troubles
        self.troubles = frozenset(e.trouble for e in self.character.episodes if e.holds(at_s))
        if Trouble.FRIGHT in self.troubles - before and not self.at_rest:
            self.progress.emergency = FRIGHT_BRAKING
        speed_before = self.progress.speed
        idling = Trouble.IDLING in self.troubles
        wants_to_stand = idling or self._needs_charge
        if wants_to_stand and not self.at_rest and self.progress.emergency == 0.0:
            self.progress.emergency = self.character.temper.braking  # pulls over
        if not self.charging and not (idling and self.at_rest):
            self.odometer_m += drive(self.route, self.progress, self._temper(), step_s)
        self.acceleration = (self.progress.speed - speed_before) / step_s
        self._energy(step_s)
        for number, tyre in enumerate(self.tyres):
            tyre.leak_kpa_per_s = (
                PUNCTURE_KPA_PER_S if number == 0 and Trouble.PUNCTURE in self.troubles else 0.0
            )
            tyre.step(self.progress.speed, self.ambient_c, step_s)

    @property
    def _needs_charge(self) -> bool:
        return self.character.electric and self.battery.charge_percent < CHARGE_AT_PERCENT

    def _temper(self) -> Temper:
        temper = self.character.temper
        if Trouble.HURRY in self.troubles:
            return Temper(HURRIED_OF_LIMIT, temper.acceleration, temper.braking)
        return temper

    def _energy(self, step_s: float) -> None:
        wheel_w = wheel_power(self.body, self.progress.speed, self.acceleration)
        if not self.character.electric:
            self.engine.cooling = 0.1 if Trouble.COOLANT_PUMP in self.troubles else 1.0
            self.engine.step(wheel_w, self.ambient_c, step_s)
            return
        power_w = -CHARGER_W if self.charging else electric_power(self.body, wheel_w)
        self.battery.runaway_c_per_s = RUNAWAY_C_PER_S if Trouble.RUNAWAY in self.troubles else 0.0
        self.battery.step(power_w, self.ambient_c, step_s)
        if self.at_rest and self._needs_charge:
            self.charging = True
        elif self.battery.charge_percent > CHARGED_PERCENT:
            self.charging = False
