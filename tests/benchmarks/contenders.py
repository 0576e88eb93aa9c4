"""Who takes part: `telltale run alerts`, a plain Faust agent, Quix Streams. Each is a process of its own.

Quix Streams lives in a virtual environment below the cache folder, made once from a pinned requirement: its
dependencies need not agree with ours.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bridges.embedded.jars import cache_folder
from tests.benchmarks.workload import Change

PEERS = Path(__file__).parent / "peers"
QUIX = ("quixstreams==3.28.1", "orjson")
STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Round:
    """Where one round takes place: its topics, and what the contenders read from disk."""

    bootstrap: str
    prefix: str
    partitions: int
    directory: Path
    commit_ms: int
    """How often both exactly-once contenders commit: a longer interval is cheaper for either."""

    @property
    def telemetry(self) -> str:
        """The topic that all read."""
        return f"{self.prefix}vehicle.telemetry"


@dataclass(frozen=True)
class Contender:
    """How one is started, which group and output topic it has, and how its records read."""

    name: str
    title: str
    group: Callable[[Round], str]
    output: Callable[[Round], str]
    command: Callable[[Round], list[str | Path]]
    environment: Callable[[Round], Mapping[str, str]]
    change: Callable[[dict[str, Any]], Change]
    changelog: Callable[[Round], str] | None = None
    """A topic that gets one record for each input: the measure of its progress where offsets are none."""

    @contextmanager
    def running(self, where: Round) -> Any:
        """Its process, from start to end; its log is in the round's directory."""
        log = (where.directory / f"{self.name}.log").open("wb")
        with (
            log,
            subprocess.Popen(
                self.command(where),
                env={**os.environ, **self.environment(where)},
                stdout=log,
                stderr=log,
                cwd=where.directory,
            ) as process,
        ):
            try:
                yield psutil.Process(process.pid)
                process.terminate()
                process.wait(STOP_S)
            finally:
                process.kill()


def _telltale_environment(where: Round) -> dict[str, str]:
    return {
        "TELLTALE_KAFKA_BOOTSTRAP": where.bootstrap,
        "TELLTALE_PREFIX": where.prefix,
        "TELLTALE_PARTITIONS": str(where.partitions),
        "TELLTALE_RULES": str(where.directory / "rules.yaml"),
        "TELLTALE_CHECKPOINT_BUSY_INTERVAL": f"{where.commit_ms}ms",
        "TELLTALE_CHECKPOINT_LAZY_INTERVAL": f"{where.commit_ms}ms",
        "TELLTALE_HTTP_PORT": "0",
        "TELLTALE_LOG_FORMAT": "json",
    }


def _telltale_change(record: dict[str, Any]) -> Change:
    at = record["startsAt"] if record["state"] == "firing" else record["endsAt"]
    return Change(record["vehicleId"], record["rule"], record["state"], at)


def _peer_change(record: dict[str, Any]) -> Change:
    return Change(record["vehicleId"], record["rule"], record["state"], record["at"])


def _peer(
    name: str,
    title: str,
    program: str,
    python: Callable[[], Path],
    changelog: Callable[[Round], str] | None = None,
) -> Contender:
    def group(where: Round) -> str:
        return f"{where.prefix}{name}"

    def output(where: Round) -> str:
        return f"{where.prefix}{name}.alerts"

    def environment(where: Round) -> dict[str, str]:
        return {
            "BENCHMARK_BOOTSTRAP": where.bootstrap,
            "BENCHMARK_GROUP": group(where),
            "BENCHMARK_INPUT": where.telemetry,
            "BENCHMARK_OUTPUT": output(where),
            "BENCHMARK_PARTITIONS": str(where.partitions),
            "BENCHMARK_COMMIT_MS": str(where.commit_ms),
            "BENCHMARK_CODE": str(where.directory),
            "BENCHMARK_STATE": str(where.directory / f"{name}-state"),
        }

    return Contender(
        name=name,
        title=title,
        group=group,
        output=output,
        command=lambda _: [python(), PEERS / program],
        environment=environment,
        change=_peer_change,
        changelog=changelog,
    )


def _our_python() -> Path:
    return Path(sys.executable)


def quix_python() -> Path:
    """The Python of Quix Streams' environment, which is made on the first call."""
    version = f"{QUIX[0].replace('==', '-')}-python{sys.version_info.major}.{sys.version_info.minor}"
    directory = cache_folder() / "benchmarks" / version
    python = directory / "bin" / "python"
    if not (directory / "complete").exists():
        print(f"Making an environment for {QUIX[0]} (once)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *QUIX], check=True)
        (directory / "complete").touch()
    return python


TELLTALE = Contender(
    "telltale",
    "telltale run alerts, exactly once",
    lambda where: f"{where.prefix}telltale.alerts",
    lambda where: f"{where.prefix}vehicle.alerts",
    lambda _: [_our_python().parent / "telltale", "run", "alerts"],
    _telltale_environment,
    _telltale_change,
)
FAUST = _peer(
    "faust",
    "plain Faust agent, one Table update a record",
    "plain_faust.py",
    _our_python,
    # Its commits of offsets were seen to stand still for minutes while it worked.
    lambda where: f"{where.prefix}faust-vehicles-changelog",
)
QUIX_STREAMS = _peer("quix", "Quix Streams, exactly once", "quix_streams.py", quix_python)
ALL = (TELLTALE, FAUST, QUIX_STREAMS)
