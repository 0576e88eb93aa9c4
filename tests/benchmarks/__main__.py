"""`make bench`: the figures of the README, one script after the other, peers in the same run."""

import subprocess
import sys

SCRIPTS = (
    "engine_cost",
    "window_cost",
    "geofence_cost",
    "backtest_speed",
    "runtime_speed",
    "alerts_throughput",
    "latency",
)


def main() -> int:
    """Run the named scripts, or all."""
    failed = 0
    for name in sys.argv[1:] or SCRIPTS:
        print(f"\n== python -m tests.benchmarks.{name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
