"""How long a worker pauses while 10,000 rules take the place of 10,000 others, under a steady load.

    python -m tests.benchmarks.rule_swap [--rules 10000] [--rate 2000] [--json]

A real `alerts` worker (`observed_worker`) on a real Kafka. The peer is the same worker under the same load in
the same run, just before: what the machine does to anybody's event loop is in both. `others` have other
names, so that every alert ends and every rule begins anew; `edited` ones the same names and other limits.
Measured are the waits of the event loop, by the clock and in processor time of the process (what it would
have been on an idle machine), and the time from the end of a batch to the next one.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import orjson
from aiokafka import AIOKafkaProducer

from bridges.embedded import EmbeddedKafka
from pipeline.process import ProcessSettings
from pipeline.process.partitioning import partition_of
from pipeline.process.times import format_time
from pipeline.store import RulesLog, propose
from rules import Source, parse
from tests.benchmarks.compile_cost import SIGNALS, documents

PARTITIONS = 4
TURN_S = 0.005
SETTLE_S = 5.0
DEADLINE_S = 180.0


class Pause(NamedTuple):
    """Milliseconds. Waits of the loop by the clock, the same in processor time, and about batches."""

    median: float
    p99: float
    longest: float
    cpu_median: float
    cpu_p99: float
    cpu_longest: float
    between_batches: float
    batch_cpu_longest: float
    batches: int


def load(bootstrap: str, topic: str, rate: int, vehicles: int) -> None:
    """Write telemetry at a steady rate, for ever."""
    asyncio.run(_load(bootstrap, topic, rate, vehicles))


async def _load(bootstrap: str, topic: str, rate: int, vehicles: int) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks=1, linger_ms=2) as producer:
        sent, began = 0, time.monotonic()
        while True:
            for number in range(sent, int((time.monotonic() - began) * rate)):
                vehicle = f"vehicle-{number % vehicles:05d}"
                now = time.time_ns() // 1_000_000
                first = number % 10 * 20
                values = dict.fromkeys(SIGNALS[first : first + 20], 70.0 + number % 7 / 10)
                if number % 97 == 0:
                    values[SIGNALS[first]] = 90.0  # now and then something fires
                record = {
                    "vehicleId": vehicle,
                    "ts": format_time(now),
                    "receivedAt": format_time(now),
                    "sequence": number,
                    "signals": values,
                }
                key = vehicle.encode()
                await producer.send(
                    topic, orjson.dumps(record), key, partition_of(key, PARTITIONS), timestamp_ms=now
                )
                sent = number + 1
            await asyncio.sleep(TURN_S)


def rule_documents(count: int, which: str) -> list[Source]:
    """A catalog and rules: the `first` ones, `others`, or the first ones `edited`."""
    texts = []
    for text in documents(count):
        if which == "others":
            text = text.replace("name: rule-", "name: other-")
        elif which == "edited":
            text = text.replace(" > 8", " > 9")  # no rule fires that did not
        texts.append(text)
    return [Source(f"{number}.yaml", text) for number, text in enumerate(texts)]


async def apply(settings: ProcessSettings, sources: list[Source], written: list[float]) -> None:
    """Make the documents the next revision; when it was written goes to `written`."""
    async with RulesLog(settings) as log:
        change = propose(
            await log.read(), parse(sources), author="benchmark", message="", at="2026-01-01T00:00:00.000Z"
        )
        written.append(time.monotonic())
        await log.write(change)
        written.append(time.monotonic())


@contextmanager
def running(environment: dict[str, str], directory: Path) -> Iterator[str]:
    """The observed worker, ready; its HTTP address. At the end observed.json is there."""
    log_file = directory / "worker.log"
    command = [sys.executable, "-m", "tests.benchmarks.observed_worker", directory / "observed.json"]
    with (
        log_file.open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            yield _address(log_file, process)
            process.terminate()
            process.wait(30)
        finally:
            process.kill()


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    ends = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if '"http_port"' in line:
                return f"http://127.0.0.1:{json.loads(line)['http_port']}"
        time.sleep(0.1)
    raise SystemExit(log.read_text(errors="replace")[-3000:])


def wait_for_revision(address: str, revision: int) -> float:
    """The moment at which the worker says that it runs it and works."""
    ends = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends:
        try:
            with urllib.request.urlopen(f"{address}/version", timeout=5) as answer:
                is_there = json.load(answer).get("ruleRevision") == revision
            with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
                if is_there and answer.status == 200:
                    return time.monotonic()
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"the worker does not run revision {revision}")


def pause(observed: dict[str, list[list[float]]], begin: float, end: float) -> Pause:
    """What was observed in a span of time."""
    wakes = [each for each in observed["wakes"] if begin <= each[0] < end]
    batches = sorted(each for each in observed["batches"] if begin <= each[0] < end)
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(batches)]
    waits = [*spread([late for _, late, _ in wakes]), *spread([used for _, _, used in wakes])]
    longest = max(used for _, _, used in batches)
    return Pause(*waits, round(max(gaps) * 1e3, 1), round(longest, 1), len(batches))


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, 99th percentile and the greatest."""
    values = sorted(values)
    return tuple(
        round(it, 1) for it in (statistics.median(values), values[len(values) * 99 // 100], values[-1])
    )  # type: ignore[return-value]


def measure(arguments: argparse.Namespace, bootstrap: str, which: str) -> dict[str, object]:
    """One swap, and the same time without one before it."""
    prefix = f"b{uuid.uuid4().hex[:8]}."
    settings = ProcessSettings(prefix=prefix, partitions=PARTITIONS, kafka={"bootstrap": bootstrap})  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="telltale-benchmark-") as folder:
        environment = {
            **os.environ,
            "TELLTALE_KAFKA_BOOTSTRAP": bootstrap,
            "TELLTALE_PREFIX": prefix,
            "TELLTALE_PARTITIONS": str(PARTITIONS),
            "TELLTALE_HTTP_PORT": "0",
            "TELLTALE_LOG_FORMAT": "json",
        }
        telltale = Path(sys.executable).parent / "telltale"
        subprocess.run([telltale, "topics", "create"], env=environment, check=True, stdout=subprocess.DEVNULL)
        asyncio.run(apply(settings, rule_documents(arguments.rules, "first"), []))
        sources = rule_documents(arguments.rules, which)
        topic = f"{prefix}vehicle.telemetry"
        source = multiprocessing.Process(
            target=load, args=(bootstrap, topic, arguments.rate, arguments.vehicles), daemon=True
        )
        source.start()
        try:
            with running(environment, Path(folder)) as address:
                wait_for_revision(address, 1)
                time.sleep(SETTLE_S)
                quiet = time.monotonic()
                time.sleep(arguments.seconds)
                calm = time.monotonic()
                written: list[float] = []
                asyncio.run(apply(settings, sources, written))
                swapped = wait_for_revision(address, 2)
                time.sleep(SETTLE_S)
                end = time.monotonic()
        finally:
            source.kill()
        observed = json.loads((Path(folder) / "observed.json").read_text())
    before, during = pause(observed, quiet, calm), pause(observed, written[0], end)
    return {
        "without": before._asdict(),
        "swap": during._asdict(),
        "write_s": round(written[1] - written[0], 2),
        "written_to_running_s": round(swapped - written[1], 2),
        "worst": [
            [round(at - written[0], 2), round(late, 1), round(used, 1)]
            for at, late, used in sorted(observed["wakes"], key=lambda it: -it[2])
            if written[0] <= at < end
        ][:8],
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print for people, or with --json one object for programs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=2_000, help="records a second")
    parser.add_argument("--vehicles", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the same load without a swap")
    parser.add_argument("--kinds", default="others,edited")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(words)

    def all_kinds(bootstrap: str) -> dict[str, dict[str, object]]:
        return {which: measure(arguments, bootstrap, which) for which in arguments.kinds.split(",")}

    if given := os.environ.get("TELLTALE_TEST_KAFKA"):
        figures = all_kinds(given)
    else:
        with EmbeddedKafka() as kafka:
            figures = all_kinds(kafka.bootstrap)
    if arguments.json:
        print(json.dumps(figures))
        return 0
    for which, found in figures.items():
        print(f"\n{arguments.rules:,} rules over {arguments.rules:,}, {which}: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
