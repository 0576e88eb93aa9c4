"""A character is the trouble that a vehicle will have, and when: the fleet's script, without chance.

Each of the shipped rules has a character that it fires for; the ordinary ones are those that it
does not. Times are seconds since the fleet's start; a negative one lies before it, which only a
vehicle without coverage can tell about, later and at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bridges.simulator.driving import CALM, Temper
from bridges.simulator.roads import CITY, MOTORWAY, SUBURB, YARD, Terrain


class Trouble(Enum):
    """What can be the matter with a vehicle, its driver, or its modem."""

    HURRY = "drives half as fast again as the limit allows"
    FRIGHT = "stands on the brake"
    UNBELTED = "drives without a seat belt"
    DOOR_AJAR = "drives with a door open"
    COOLANT_PUMP = "its coolant pump has failed"
    RUNAWAY = "one battery cell heats itself"
    PUNCTURE = "one tyre loses air"
    IDLING = "stands with its engine running"
    NO_COVERAGE = "cannot reach the broker"
    STAMMER = "sends some messages twice"
    GARBLE = "sends some payloads that nobody can decode"
    NO_CLOCK = "sends some messages without a time"
    REBOOT = "its telematic unit starts anew"


@dataclass(frozen=True, slots=True)
class Episode:
    """A trouble from one second until another, once or every so often."""

    trouble: Trouble
    begins_s: float = 0.0
    ends_s: float = float("inf")
    every_s: float = float("inf")

    def holds(self, at_s: float) -> bool:
        """Tell whether the trouble is there at that second; half open, as everywhere."""
        if at_s >= self.begins_s and self.every_s != float("inf"):
            at_s = self.begins_s + (at_s - self.begins_s) % self.every_s
        return self.begins_s <= at_s < self.ends_s


@dataclass(frozen=True, slots=True)
class Character:
    """One kind of vehicle: what drives it, where it drives, how, and its episodes."""

    name: str
    electric: bool = True
    terrain: Terrain = SUBURB
    temper: Temper = CALM
    episodes: tuple[Episode, ...] = ()
    charge_percent: float = 70.0
    tyre_kpa: float = 245.0
    at_home: bool = False
    """Its loop is around the depot, and not somewhere in the region."""

    @property
    def earliest_s(self) -> float:
        """When this vehicle's story begins: before the fleet's start if something was the matter by then."""
        return min((episode.begins_s for episode in self.episodes), default=0.0)


HOUR_S = 3_600.0

ORDINARY: tuple[Character, ...] = (
    Character("commuter", terrain=SUBURB),
    Character("taxi", terrain=CITY, charge_percent=55.0),
    Character("traveller", terrain=MOTORWAY, charge_percent=80.0),
    Character("delivery", electric=False, terrain=CITY),
    Character("coach", electric=False, terrain=MOTORWAY, temper=Temper(0.8, 0.9, 1.5)),
)

SPECIAL: tuple[Character, ...] = (
    Character(
        "speeder",
        terrain=MOTORWAY,
        temper=Temper(acceleration=0.7),
        episodes=(Episode(Trouble.HURRY, 2.0, 32.0, 75.0),),
    ),
    Character(
        "late braker",
        terrain=MOTORWAY,
        episodes=(Episode(Trouble.FRIGHT, 9.0, 10.0, 20.0),),
        charge_percent=62.0,
    ),
    Character(
        "broken pump",
        electric=False,
        terrain=SUBURB,
        episodes=(Episode(Trouble.COOLANT_PUMP, -5.0, 60.0, 600.0),),
    ),
    Character("nearly empty", terrain=CITY, charge_percent=8.0),
    Character(
        "puncture", electric=False, terrain=CITY, episodes=(Episode(Trouble.PUNCTURE),), tyre_kpa=160.0
    ),
    Character(
        "idler",
        electric=False,
        terrain=CITY,
        episodes=(
            Episode(Trouble.IDLING, -25 * 60.0, 20.0, HOUR_S),
            Episode(Trouble.NO_COVERAGE, -30 * 60.0, 5.0),
        ),
    ),
    Character("unbelted", terrain=SUBURB, episodes=(Episode(Trouble.UNBELTED, 3.0, 38.0, 120.0),)),
    Character("door ajar", terrain=SUBURB, episodes=(Episode(Trouble.DOOR_AJAR, 5.0, 30.0, 120.0),)),
    Character("hot cell", terrain=SUBURB, episodes=(Episode(Trouble.RUNAWAY, 4.0, 70.0, 900.0),)),
    Character(
        "no break",
        electric=False,
        terrain=MOTORWAY,
        episodes=(Episode(Trouble.NO_COVERAGE, -5.2 * HOUR_S, 8.0),),
    ),
    Character("tunnels", terrain=SUBURB, episodes=(Episode(Trouble.NO_COVERAGE, 14.0, 30.0, 50.0),)),
    Character("stammer", terrain=SUBURB, episodes=(Episode(Trouble.STAMMER),)),
    Character("garble", electric=False, terrain=CITY, episodes=(Episode(Trouble.GARBLE),)),
    Character("no clock", terrain=CITY, episodes=(Episode(Trouble.NO_CLOCK),)),
    Character("reboots", terrain=SUBURB, episodes=(Episode(Trouble.REBOOT, 17.0, 18.0, 40.0),)),
    Character("garage", terrain=CITY, episodes=(Episode(Trouble.NO_COVERAGE, 6.0, 46.0, 300.0),)),
    Character("shuttle", terrain=YARD, at_home=True),
)


def cast(size: int) -> Sequence[Character]:
    """The characters of a fleet: each special one once in every 25 vehicles, ordinary ones between.

    A small fleet has the first characters only: there is no room for all.
    """
    characters: list[Character] = []
    for number in range(size):
        place = number % 25
        if place < len(SPECIAL):
            characters.append(SPECIAL[place])
        else:
            characters.append(ORDINARY[(place - len(SPECIAL)) % len(ORDINARY)])
    return characters
