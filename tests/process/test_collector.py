"""Full collections are kept away; what nobody refers to is freed all the same."""

import subprocess
import sys

PROGRAM = """
import gc, weakref
from pipeline.process.collector import keep_collections_short

class Vehicle:
    pass

gc.collect()
keep_collections_short()
keep_collections_short()
before = gc.get_stats()[2]["collections"]
vehicles = []
for number in range(600_000):
    vehicle = Vehicle()
    vehicle.values = [number]
    cycle = [vehicle.values]
    cycle.append(cycle)
    vehicles.append(vehicle)
assert gc.get_stats()[2]["collections"] == before, gc.get_stats()
assert gc.get_freeze_count() > 500_000, gc.get_freeze_count()
alive = weakref.ref(vehicles[0])
vehicles.clear()
del vehicle
assert alive() is None
assert gc.get_freeze_count() < 400_000, gc.get_freeze_count()
"""


def test_growth_brings_no_full_collection_and_references_free_what_was_set_aside() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], check=True)
