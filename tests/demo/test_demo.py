"""The demo as a person starts it: real brokers, real processes, and books that balance."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from bridges.demo.accounts import IDENTITIES

pytestmark = pytest.mark.integration

TELLTALE = (sys.executable, "-c", "from pipeline.process.cli import main; main()")
WITHIN_S = 240.0
DRAINING = {
    *("uplink.log", "normalize.log", "alerts.log", "geofences.log", "aggregations.log"),
    *("downlink.log", "simulate.log"),
}
KEYS = [
    "published",
    "redelivered",
    "uplinked",
    "normalized",
    "duplicates",
    "dead_lettered",
    "alerts_fired",
    "alerts_resolved",
    "alerts_firing",
    "commands_requested",
    "commands_published",
    "commands_expired",
    "commands_undeliverable",
    "commands_acknowledged",
    "geofence_events",
    "aggregates",
    "latency_ms",
]


# Artemis cannot tell undeliverable.
UNSEEN = ("commands_undeliverable", "latency_ms")


class Demo:
    """A running `telltale demo`, its lines on stderr, and every process that it has started."""

    def __init__(self, *options, directory):
        # The demo must not be led astray by what its user has set for their own installation.
        environment = {**os.environ, "TMPDIR": str(directory), "TELLTALE_KAFKA_BOOTSTRAP": "nowhere:1"}
        self._process = subprocess.Popen(
            [*TELLTALE, "demo", *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines = []
        self._queue = queue.Queue()
        self._deadline = time.monotonic() + WITHIN_S
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stderr:
            self.lines.append(line)
            self._queue.put(line)
        self._queue.put(None)

    def says(self, text):
        """Wait until a line holds the text."""
        while (line := self._queue.get(timeout=max(1.0, self._deadline - time.monotonic()))) is not None:
            if text in line:
                return
        raise AssertionError(f"it ended without saying {text!r}:\n{''.join(self.lines)}")

    def descendants(self):
        return psutil.Process(self._process.pid).children(recursive=True)

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def ended(self):
        """Wait for its end: exit code and what it wrote to stdout."""
        out = self._process.stdout.read()
        return self._process.wait(WITHIN_S), out

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()


def test_what_goes_in_comes_out_and_every_kind_occurs(tmp_path):
    with Demo("--for", "38s", "--json", directory=tmp_path) as demo:
        code, out = demo.ended()
        said = "".join(demo.lines)
    assert code == 0, said
    summary = json.loads(out.splitlines()[-1])
    assert list(summary) == KEYS
    for left, plus, minus in IDENTITIES:
        assert summary[left] == sum(summary[key] for key in plus) - sum(summary[key] for key in minus), (
            summary
        )
    occurs = [key for key in KEYS if key not in UNSEEN]
    assert [key for key in occurs if summary[key] < 1] == [], (
        "Artemis cannot tell undeliverable; all else occurs"
    )
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]
    assert list(tmp_path.iterdir()) == [], "something was left behind"


def test_a_process_that_is_killed_is_started_again_and_nothing_outlives_the_end(tmp_path):
    with Demo("--vehicles", "5", directory=tmp_path) as demo:
        for _ in range(2):  # at once, and when the fleet has driven for some seconds
            demo.says("in Kafka")
        started = demo.descendants()
        victim = next(process for process in started if process.cmdline()[-2:] == ["run", "normalize"])
        victims = [victim, *victim.children()]
        victims[-1].kill()
        demo.says("normalize died (killed by SIGKILL) and is started again")
        (log,) = tmp_path.glob("*/normalize.log")
        while log.read_text().count("Started normalize") < 2:
            demo.says("in Kafka")
        started += demo.descendants()
        logs = {path.name: path for path in tmp_path.glob("*/*.log")}
        held = {name: path.open() for name, path in logs.items()}  # readable after they are removed
        demo.interrupt()
        code, out = demo.ended()
        said = "".join(demo.lines)
    last_words = {
        name: file.read().strip().rpartition("\n")[2] for name, file in held.items() if name in DRAINING
    }
    for file in held.values():
        file.close()
    assert set(last_words) == DRAINING
    # The one that was just started may still have been waiting for its partitions.
    assert all(("Drained and ended" in it or "asked to stop" in it) for it in last_words.values()), last_words
    assert (code, out) == (0, ""), said
    assert [process for process in set(started) if process.is_running()] == []
    assert list(tmp_path.iterdir()) == [], "something was left behind"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [(("--json",), "--json needs an end: add --for 60s"), (("--for", "soon"), "is not a duration")],
)
def test_wrong_options_are_one_clear_error(tmp_path, options, sentence):
    with Demo(*options, directory=tmp_path) as demo:
        demo.says(sentence)
        assert demo.ended() == (2, "")
