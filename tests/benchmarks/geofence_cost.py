"""What a position costs against the number of fences, beside a loop over prepared shapely geometries.

    python -m tests.benchmarks.geofence_cost

A fleet drives between 31 and 32 degrees north, 120.5 and 122 east, a position each second, 15 m/s and
turning. The fences are a mixture: half polygons of 5 to 20 corners, four tenths circles, one tenth corridors,
50 to 500 m wide; ten of them on the fleet's way, the others spread over the country (10 by 10 degrees) or,
with `crowded`, over the region of the fleet, where each vehicle meets ever more of them. One rule over all
fences tells enter, exit, dwell and, if named, cross. A figure is the median of several rounds, each by fresh
vehicles; the first, which fills the table of cells, is told apart (cold).

The peer is what one would write first: each position against every fence, and enter or exit when that
changes. It knows no enterAfter, no buffer, no path. Beside it stands the same over an STRtree.
"""

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence

import shapely

from rules.engine import Event, Geofences, RuleSet
from rules.engine.fence_outcomes import FenceOutcome
from rules.engine.ruleset import FenceRule
from rules.geometry import Area, Circle, Corridor, Shape

REGION = (31.0, 120.5, 32.0, 122.0)
COUNTRY = (26.0, 115.0, 36.0, 125.0)
METRE = 1 / 111_000


def trips(vehicles: int, seconds: int) -> list[list[tuple[float, float]]]:
    """(latitude, longitude) of each vehicle, second by second."""
    dice = random.Random(3)
    made = []
    for _ in range(vehicles):
        latitude, longitude = dice.uniform(REGION[0], REGION[2]), dice.uniform(REGION[1], REGION[3])
        heading, trip = dice.uniform(0, math.tau), []
        for _ in range(seconds):
            heading += dice.gauss(0, 0.05)
            latitude += 15 * METRE * math.cos(heading)
            longitude += 15 * METRE * math.sin(heading) / math.cos(math.radians(latitude))
            trip.append((latitude, longitude))
        made.append(trip)
    return made


def fences(count: int, way: Sequence[list[tuple[float, float]]], *, crowded: bool) -> dict[str, Shape]:
    """So many fences, ten of them on the way."""
    dice = random.Random(5)
    south, west, north, east = REGION if crowded else COUNTRY
    made: dict[str, Shape] = {}
    for index in range(count):
        place = dice.uniform(south, north), dice.uniform(west, east)
        if index < 10:
            trip = way[index % len(way)]
            place = trip[len(trip) * (index + 1) // 12]
        made[f"fence-{index:06d}"] = _shape(dice, *place)
    return made


def _shape(dice: random.Random, latitude: float, longitude: float) -> Shape:
    size = dice.uniform(50, 500)
    wide = METRE / math.cos(math.radians(latitude))
    match dice.choice("aaaaaccccl"):
        case "a":
            corners = dice.randint(5, 20)
            ring = []
            for corner in range(corners):
                angle, reach = math.tau * corner / corners, size * dice.uniform(0.6, 1)
                east, north = reach * math.cos(angle) * wide, reach * math.sin(angle) * METRE
                ring.append((longitude + east, latitude + north))
            return Area([[[*ring, ring[0]]]])
        case "c":
            return Circle(latitude, longitude, size)
    return Corridor([(longitude, latitude), (longitude + 4 * size * wide, latitude + size * METRE)], size / 5)


def fold_round(
    shapes: dict[str, Shape], events: list[list[tuple[float, float]]], told: frozenset[str]
) -> Callable[[], tuple[float, int]]:
    """Microseconds for a position, and outcomes, of one pass by fresh vehicles."""
    rule = FenceRule(
        "all", tuple(shapes), told, enter_after_ms=5_000, exit_after_ms=5_000, dwell_ms=20_000,
        exit_buffer_meters=25.0,
    )  # fmt: skip
    fold = Geofences(RuleSet({}, (), fences=shapes, fence_rules=(rule,)))
    logs = [[Event(at * 1000, at * 1000, {}, place) for at, place in enumerate(trip)] for trip in events]

    def run() -> tuple[float, int]:
        out: list[FenceOutcome] = []
        vehicles = [fold.new_vehicle(f"v{number}") for number in range(len(logs))]
        process = fold.process
        begin = time.perf_counter()
        for vehicle, log in zip(vehicles, logs, strict=True):
            for event in log:
                process(vehicle, event, 0, out)
        spent = time.perf_counter() - begin
        return spent / sum(map(len, logs)) * 1e6, len(out)

    return run


def geometries(shapes: dict[str, Shape]) -> list[shapely.Geometry]:
    """The shapes as shapely's, as far as it knows them: circles of 32 corners, lines with their width."""
    made = []
    for shape in shapes.values():
        box = shape.boxes[0]
        if isinstance(shape, Area):
            made.append(shape._geometry)
        elif isinstance(shape, Circle):
            centre = shapely.Point((box.west + box.east) / 2, (box.south + box.north) / 2)
            made.append(centre.buffer((box.north - box.south) / 2, quad_segs=8))
        elif isinstance(shape, Corridor):
            made.append(shapely.LineString(shape._line).buffer((box.north - box.south) / 8))
    shapely.prepare(made)
    return made


def loop_round(
    shapes: dict[str, Shape], events: list[list[tuple[float, float]]], *, tree: bool
) -> Callable[[], tuple[float, int]]:
    """The same for a loop over all geometries, or for those that an STRtree gives."""
    made = geometries(shapes)
    found_by = shapely.STRtree(made)

    def run() -> tuple[float, int]:
        changes = 0
        begin = time.perf_counter()
        for trip in events:
            inside: set[int] = set()
            for latitude, longitude in trip:
                if tree:
                    now = set(found_by.query(shapely.Point(longitude, latitude), "intersects").tolist())
                else:
                    now = {
                        number
                        for number, geometry in enumerate(made)
                        if shapely.intersects_xy(geometry, longitude, latitude)
                    }
                changes += len(now ^ inside)
                inside = now
        spent = time.perf_counter() - begin
        return spent / sum(map(len, events)) * 1e6, changes

    return run


def main() -> None:
    """Measure, print for people, or with --json one object for programs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1_000, 10_000, 100_000])
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    way = trips(20, 500)
    quiet, crossing = frozenset({"enter", "exit", "dwell"}), frozenset({"enter", "exit", "dwell", "cross"})
    figures: dict[str, dict[str, float]] = {}
    for kind in ("spread", "crowded"):
        for count in options.counts:
            begin = time.perf_counter()
            shapes = fences(count, way, crowded=kind == "crowded")
            round_, with_cross = fold_round(shapes, way, quiet), fold_round(shapes, way, crossing)
            built = time.perf_counter() - begin
            cold, told = round_()
            with_cross()
            tree = loop_round(shapes, way, tree=True)
            # A loop over very many fences takes long: a few positions are enough to know its cost.
            positions = max(1, min(500, 200_000 // count))
            loop = loop_round(shapes, [trip[:positions] for trip in way[:2]], tree=False)
            rows = [(round_(), with_cross(), tree(), loop()) for _ in range(options.rounds)]
            ours, cross, theirs, plain = (
                statistics.median(row[place][0] for row in rows) for place in range(4)
            )
            figures[f"{kind}_{count}"] = {
                "us_per_position": round(ours, 2),
                "with_cross": round(cross, 2),
                "cold": round(cold, 2),
                "shapely_loop": round(plain, 2),
                "shapely_strtree": round(theirs, 2),
                "outcomes": told,
                "built_s": round(built, 2),
            }
            if not options.json:
                print(
                    f"{kind:7s} {count:6d} fences: {ours:6.2f} us a position, {cross:6.2f} with cross "
                    f"(cold {cold:6.2f}); shapely loop {plain:10.2f}, STRtree {theirs:6.2f}; "
                    f"{told} events, built in {built:.1f} s",
                    flush=True,
                )
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
