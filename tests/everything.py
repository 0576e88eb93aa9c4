"""What `make test` runs: lint, types, import contracts, then every test on real brokers.

The control plane of Kubernetes is built first, in the background: minutes on a fresh machine, where its tests
run after all others, else nothing. The brokers' jars are fetched while the linters run.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bridges.embedded import EmbeddedKafka, EmbeddedMqtt
from tests.controlplane.build import cached

BIN = Path(sys.executable).parent
CHECKS = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy --strict", ["mypy"]),
    ("import contracts", ["lint-imports"]),
)


def main() -> int:
    """Run all checks, then the tests; tell every failure, not only the first."""
    # Hundreds of programs are started: none is to compile the product's modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    plane = subprocess.Popen(["nice", "-n", "10", sys.executable, "-m", "tests.controlplane"])
    chosen = sys.argv[1:]
    later = [] if cached() or chosen else ["tests/k8s"]
    jars = subprocess.Popen([sys.executable, "-m", "bridges.embedded"], stdout=subprocess.DEVNULL)
    failed = []
    for name, command in CHECKS:
        began = time.monotonic()
        done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, check=False)
        print(
            f"{name}: {'ok' if done.returncode == 0 else 'FAILED'} ({time.monotonic() - began:.0f} s)",
            flush=True,
        )
        if done.returncode != 0:
            print(done.stdout[-20_000:], done.stderr[-20_000:], flush=True)
            failed.append(name)
    if jars.wait() != 0:
        print("the embedded brokers' jars could not be had: see above", file=sys.stderr)
        plane.terminate()
        return 1
    with brokers():
        tests = pytest(*(f"--ignore={folder}" for folder in later), *chosen)
        if plane.wait() != 0:
            print("the control plane could not be built: see above", file=sys.stderr)
            failed.append("control plane")
        elif later:
            tests = pytest(*later) or tests
    if failed:
        print(f"FAILED before the tests: {', '.join(failed)}", file=sys.stderr)
    return tests or len(failed)


@contextlib.contextmanager
def brokers() -> Iterator[None]:
    """One pair of brokers for all workers, unless there is one: an idle Kafka costs a tenth of a core."""
    if "TELLTALE_TEST_KAFKA" in os.environ:
        yield
        return
    with EmbeddedKafka() as kafka, EmbeddedMqtt() as mqtt:
        os.environ["TELLTALE_TEST_KAFKA"] = kafka.bootstrap
        os.environ["TELLTALE_TEST_MQTT"] = f"{mqtt.host}:{mqtt.port}"
        yield


def pytest(*words: str) -> int:
    """Run tests with three workers: most tests wait for something, and two would leave cores idle.

    Files are taken in the order of tests/conftest.py, which has the long ones first.
    """
    workers = ["--numprocesses", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
    return subprocess.run([BIN / "pytest", *workers, *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
