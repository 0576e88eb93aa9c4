"""How fast a backtest goes: events a second on one core with 10 rules, from CSV, JSON lines and Parquet.

    python -m tests.benchmarks.backtest_speed

The peer, in turn in the same run, is what an analyst would write first for the same CSV file: a loop over
csv.DictReader that converts the columns and judges the same ten conditions, without holds, ids or records.
"""

import argparse
import csv
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet

from pipeline.backtest.asked import Asked
from pipeline.backtest.running import backtest

START = 1_767_225_600_000
SIGNALS = ("speed", "coolant", "charge", "pressure", "current")
LIMITS = (95.0, 97.0)


def rules_text() -> str:
    """Ten rules: two thresholds a signal, with holds, hysteresis and conjunctions."""
    signals = ", ".join(f"Vehicle.{name.title()}: {{path: {name}, alias: {name}}}" for name in SIGNALS)
    documents = [
        "apiVersion: telltale.dev/v1alpha1\nkind: SignalCatalog\nmetadata: {name: default}\n"
        f"spec: {{timestamp: {{path: ts}}, sequence: {{path: seq}}, signals: {{{signals}}}}}"
    ]
    for number, name in enumerate(SIGNALS):
        other = SIGNALS[(number + 1) % len(SIGNALS)]
        for place, limit in enumerate(LIMITS):
            when = f"{name} > {limit}" + (f" && {other} < 50" if place else "")
            documents.append(
                f"apiVersion: telltale.dev/v1alpha1\nkind: AlertRule\nmetadata: {{name: {name}-{place}}}\n"
                f"spec: {{when: {when}, for: 10s, clearWhen: {name} < {limit - 5}}}"
            )
    return "\n---\n".join(documents)


def rows(events: int, vehicles: int) -> list[dict[str, object]]:
    """A message a second of each vehicle, its signals walking at random between 0 and 100."""
    dice = random.Random(11)
    walks = [dict.fromkeys(SIGNALS, 50.0) for _ in range(vehicles)]
    made: list[dict[str, object]] = []
    for number in range(events):
        walk = walks[number % vehicles]
        for name, value in walk.items():
            walk[name] = round(min(100.0, max(0.0, value + dice.uniform(-3, 3))), 2)
        at = number // vehicles
        made.append({"vehicleId": f"v{number % vehicles}", "ts": START + at * 1000, "seq": at, **walk})
    return made


def write(directory: Path, made: list[dict[str, object]]) -> dict[str, Path]:
    """The rows in each format."""
    files = {name: directory / f"trace.{name}" for name in ("csv", "jsonl", "parquet")}
    with files["csv"].open("w", newline="") as stream:
        writer = csv.DictWriter(stream, made[0])
        writer.writeheader()
        writer.writerows(made)
    files["jsonl"].write_text("\n".join(map(json.dumps, made)))
    columns = {name: [row[name] for row in made] for name in made[0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), files["parquet"])
    return files


def plain_loop(file: Path) -> int:
    """The peer: how often a condition held."""
    held = 0
    with file.open(newline="") as stream:
        for row in csv.DictReader(stream):
            values = {name: float(row[name]) for name in SIGNALS}
            for number, name in enumerate(SIGNALS):
                other = SIGNALS[(number + 1) % len(SIGNALS)]
                held += values[name] > LIMITS[0]
                held += values[name] > LIMITS[1] and values[other] < 50
    return held


def rate(events: int, run: Callable[[], object]) -> float:
    """Events a second of processor time of one run: other work on the machine does not count."""
    begin = time.process_time()
    run()
    return events / (time.process_time() - begin)


def main() -> None:
    """Print a line for each format, with the ratio to the peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--vehicles", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        rules = directory / "rules.yaml"
        rules.write_text(rules_text())
        files = write(directory, rows(options.events, options.vehicles))
        asked = {name: Asked((rules,), (file,)) for name, file in files.items()}
        found: dict[str, list[float]] = {name: [] for name in (*files, "plain loop over csv")}
        for _ in range(options.rounds):
            for name, one in asked.items():
                found[name].append(rate(options.events, lambda one=one: backtest(one, lambda *_: None)))
            found["plain loop over csv"].append(rate(options.events, lambda: plain_loop(files["csv"])))
    peer = statistics.median(found["plain loop over csv"])
    for name, rates in found.items():
        middle = statistics.median(rates)
        ratio = f"{middle / peer:.2f} x peer"
        print(f"{name:<20} {middle:>9,.0f} events/s a core  best {max(rates):>9,.0f}  {ratio}")


if __name__ == "__main__":
    main()
