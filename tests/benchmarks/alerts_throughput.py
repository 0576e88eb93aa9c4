"""The alerts stage with one hundred rules, beside two peers that do the same by hand.

    python -m tests.benchmarks.alerts_throughput [--records 400000] [--rounds 3] [--json]

In each round all contenders read the same records from the same partitions of one Kafka, in turn, and the
order of the turns moves on; one that needs more than `--limit` seconds is measured on what it did. What they
wrote is compared with a plain computation: a contender whose output is wrong is a failure, not a figure.
"""

import argparse
import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from bridges.embedded import EmbeddedKafka
from tests.benchmarks.contenders import ALL, TELLTALE, Contender, Round
from tests.benchmarks.measuring import Pace, create_topics, offsets_of, outputs, produce, records_in, watch
from tests.benchmarks.workload import Change, Reading, catalog_and_rules, hand_written, telemetry


def prepare(where: Round, readings: Sequence[Reading], contenders: Sequence[Contender]) -> None:
    """The round's topics with the readings in them, the rules, and the `if`s."""
    (where.directory / "rules.yaml").write_text(catalog_and_rules())
    (where.directory / "hand_written.py").write_text(hand_written())
    create = [*TELLTALE.command(where)[:1], "topics", "create"]
    environment = {**os.environ, **TELLTALE.environment(where)}
    subprocess.run(create, env=environment, check=True, stdout=subprocess.DEVNULL)
    peers = [each.output(where) for each in contenders if each is not TELLTALE]
    peers += [each.changelog(where) for each in contenders if each.changelog]
    asyncio.run(create_topics(where.bootstrap, peers, where.partitions))
    asyncio.run(produce(where.bootstrap, where.telemetry, readings, where.partitions))


def measure(contender: Contender, where: Round, total: int, limit_s: float) -> tuple[Pace, list[Change]]:
    """One contender over all readings of the round: its pace, and what it wrote."""

    async def watched(process: psutil.Process) -> Pace:
        if contender.changelog:
            progress = records_in(where.bootstrap, contender.changelog(where), where.partitions)
        else:
            progress = offsets_of(where.bootstrap, contender.group(where), where.telemetry)
        async with progress as made:
            return await watch(made, total, limit_s, process)

    with contender.running(where) as process:
        pace = asyncio.run(watched(process))
    written = asyncio.run(
        outputs(where.bootstrap, contender.output(where), where.partitions, contender.change)
    )
    return pace, written


def wrong(written: Sequence[Change], expected: Sequence[Change], *, finished: bool) -> str | None:
    """What is wrong with an output, or None: nothing doubled or invented, and nothing missing at the end."""
    seen, due = Counter(written), Counter(expected)
    if surplus := seen - due:
        return f"{surplus.total()} records too many, such as {next(iter(surplus))}"
    if finished and (missing := due - seen):
        return f"{missing.total()} of {due.total()} records missing, such as {next(iter(missing))}"
    return None


def run(arguments: argparse.Namespace, bootstrap: str) -> dict[str, list[Pace]]:
    """All rounds; the paces of each contender."""
    names = arguments.contenders.split(",")
    contenders = [each for each in ALL if each.name in names]
    readings, expected = [], []
    begin_ms = time.time_ns() // 1_000_000 - arguments.records // arguments.vehicles * 1000
    for reading, changes in telemetry(arguments.records, arguments.vehicles, begin_ms):
        readings.append(reading)
        expected += changes
    paces: dict[str, list[Pace]] = {each.name: [] for each in contenders}
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="telltale-benchmark-") as folder:
            prefix = f"b{uuid.uuid4().hex[:8]}."
            where = Round(bootstrap, prefix, arguments.partitions, Path(folder), arguments.commit_ms)
            prepare(where, readings, contenders)
            # Nobody is always first, with a cold page cache, or last, on a warm machine.
            turn = number % len(contenders)
            for contender in (*contenders[turn:], *contenders[:turn]):
                pace, written = measure(contender, where, len(readings), arguments.limit)
                if not pace.per_second:
                    log = (where.directory / f"{contender.name}.log").read_text(errors="replace")[-3000:]
                    raise SystemExit(f"{contender.title} committed too little to be measured: {pace}\n{log}")
                if problem := wrong(written, expected, finished=pace.finished):
                    raise SystemExit(f"{contender.title}: {problem}")
                paces[contender.name].append(pace)
                if not arguments.json:
                    print(
                        f"round {number + 1}: {contender.title}: {pace.per_second:,.0f} records/s", flush=True
                    )
    return paces


def summary(paces: dict[str, list[Pace]]) -> dict[str, dict[str, float]]:
    """Medians over the rounds, and Telltale's ratio to each."""
    medians = {
        name: {
            "records_per_second": statistics.median(each.per_second for each in rounds),
            "records_per_cpu_second": statistics.median(each.per_cpu_second for each in rounds),
        }
        for name, rounds in paces.items()
    }
    if TELLTALE.name in medians:
        own = medians[TELLTALE.name]
        for other in medians.values():
            other["telltale_is_faster_by"] = own["records_per_second"] / other["records_per_second"]
            other["telltale_is_cheaper_by"] = own["records_per_cpu_second"] / other["records_per_cpu_second"]
    return medians


def main() -> int:
    """Parse, run on a Kafka of our own unless one is named, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--vehicles", type=int, default=1000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=20.0, help="seconds that one gets in a round")
    parser.add_argument(
        "--commit-ms", type=int, default=500, help="interval of the exactly-once contenders' transactions"
    )
    parser.add_argument("--contenders", default=",".join(each.name for each in ALL))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    # A topic that was made this moment has no leader yet: its client says so for each batch, and goes on.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if given := os.environ.get("TELLTALE_TEST_KAFKA"):
        paces = run(arguments, given)
    else:
        with EmbeddedKafka() as kafka:
            paces = run(arguments, kafka.bootstrap)
    medians = summary(paces)
    if arguments.json:
        print(json.dumps(medians))
        return 0
    print(f"\nMedians of {arguments.rounds} rounds, {arguments.records:,} records, 100 conditions:")
    for contender in ALL:
        if figures := medians.get(contender.name):
            ratio = figures.get("telltale_is_faster_by", 1.0)
            print(
                f"{contender.title:46} {figures['records_per_second']:>10,.0f} records/s "
                f"{figures['records_per_cpu_second']:>10,.0f} a CPU second"
                + ("" if ratio == 1.0 else f"   Telltale × {ratio:.1f}")
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
