"""The contract of a running process, in this process where that is possible, else in one of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from pipeline.process import (
    ConfigurationError,
    Context,
    PartyMissing,
    Process,
    ProcessSettings,
    TopicsDiffer,
    run,
)

Main = Callable[[Context[ProcessSettings]], Awaitable[None]]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)
    structlog.reset_defaults()


def run_here(main: Main, **variables: str) -> int:
    process = Process("example", ProcessSettings, main, "an example")
    environment = {
        "TELLTALE_HTTP_PORT": "0",
        "TELLTALE_HTTP_HOST": "127.0.0.1",
        "TELLTALE_LOG_FORMAT": "json",
    }
    return run(process, None, environment | variables)


async def ask(context: Context[Any], path: str, **headers: str) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{context.http_port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        body = await response.text()
        return response.status, json.loads(body) if "json" in response.content_type else body


def stop_me() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def messages(capture: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["message"] for line in capture.readouterr().err.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_drains_when_asked_and_ends_with_nought(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []

    async def main(context: Context[ProcessSettings]) -> None:
        os.kill(os.getpid(), number)
        await context.stopping.wait()
        await asyncio.sleep(0)
        done.append("in flight")

    assert run_here(main) == 0
    assert done == ["in flight"]
    told = capsys.readouterr()
    assert told.out == ""  # stdout is for results
    assert [json.loads(line)["message"] for line in told.err.splitlines()] == [
        "Started example 0.1.0",
        f"Draining, asked by {number.name}",
        "Drained and ended",
    ]


def test_the_port_answers_health_readiness_version_and_metrics() -> None:
    seen: dict[str, Any] = {}

    async def main(context: Context[ProcessSettings]) -> None:
        seen["starting"] = await ask(context, "/readyz")
        context.health.check("kafka", lambda: "no broker answers")
        context.health.liveness("poll", lambda: None)
        context.about["ruleRevision"] = 7
        seen["missing"] = await ask(context, "/readyz")
        context.health.check("kafka", lambda: None)
        seen["ready"] = await ask(context, "/readyz")
        seen["alive"] = await ask(context, "/healthz")
        context.health.liveness("poll", lambda: "no poll for 60 s")
        seen["stuck"] = await ask(context, "/healthz")
        seen["version"] = await ask(context, "/version")
        seen["metrics"] = await ask(context, "/metrics")
        seen["open metrics"] = await ask(context, "/metrics", Accept="application/openmetrics-text")
        seen["index"] = await ask(context, "/")
        seen["nowhere"] = (await ask(context, "/nowhere"))[0]

    assert run_here(main) == 0
    assert seen["starting"] == (503, {"ready": False, "missing": {"process": "it is still starting"}})
    assert seen["missing"] == (503, {"ready": False, "missing": {"kafka": "no broker answers"}})
    assert seen["ready"] == (200, {"ready": True, "missing": {}})
    assert seen["alive"] == (200, {"alive": True, "broken": {}})
    assert seen["stuck"] == (503, {"alive": False, "broken": {"poll": "no poll for 60 s"}})
    assert seen["version"] == (200, {"process": "example", "version": "0.1.0", "ruleRevision": 7})
    assert seen["metrics"][0] == 200
    assert 'telltale_process_build_info{process="example"' in seen["metrics"][1]
    assert seen["open metrics"][1].endswith("# EOF\n")
    assert "/readyz" in seen["index"][1]
    assert seen["nowhere"] == 404


def test_while_it_drains_a_process_is_not_ready() -> None:
    seen = []

    async def main(context: Context[ProcessSettings]) -> None:
        context.health.check("kafka", lambda: None)
        stop_me()
        await context.stopping.wait()
        seen.append(await ask(context, "/readyz"))
        seen.append(await ask(context, "/healthz"))

    assert run_here(main) == 0
    assert [status for status, _ in seen] == [503, 200]


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        pytest.param(ConfigurationError("no rules", ["a", "b"]), 2, "no rules\n  a\n  b", id="settings"),
        pytest.param(PartyMissing("Kafka did not come"), 3, "Kafka did not come", id="party"),
        pytest.param(
            TopicsDiffer("topics do not fit", ["x: 1"]), 4, "topics do not fit\n  x: 1", id="topics"
        ),
        pytest.param(
            ZeroDivisionError("oh"), 1, "Ended by an unexpected ZeroDivisionError: oh", id="unexpected"
        ),
    ],
)
def test_a_failure_ends_with_its_code_and_its_message(
    failure: Exception, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main(_context: Context[ProcessSettings]) -> None:
        raise failure

    assert run_here(main) == code
    assert messages(capsys)[-1] == told


def test_only_an_unexpected_failure_has_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    async def expected(_context: Context[ProcessSettings]) -> None:
        raise PartyMissing("Kafka did not come")

    async def unexpected(_context: Context[ProcessSettings]) -> None:
        raise ZeroDivisionError

    run_here(expected)
    assert "Traceback" not in capsys.readouterr().err
    run_here(unexpected)
    assert "Traceback" in capsys.readouterr().err


def test_a_process_that_does_not_drain_in_time_is_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    cancelled = []

    async def main(_context: Context[ProcessSettings]) -> None:
        stop_me()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    assert run_here(main, TELLTALE_DRAIN_TIMEOUT="50ms") == 1
    assert cancelled == [True]
    assert messages(capsys)[-1].startswith("Not drained within 50ms (drainTimeout)")


def test_a_failure_while_draining_is_not_called_drained() -> None:
    async def main(context: Context[ProcessSettings]) -> None:
        stop_me()
        await context.stopping.wait()
        raise OSError("the last commit failed")

    assert run_here(main) == 1


def test_work_that_ends_by_itself_is_done() -> None:
    async def main(_context: Context[ProcessSettings]) -> None:
        return

    assert run_here(main) == 0


def test_a_busy_port_is_a_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    async def main(_context: Context[ProcessSettings]) -> None:
        pytest.fail("it must not start")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run_here(main, TELLTALE_HTTP_PORT=str(port)) == 2
    assert messages(capsys) == [
        f"httpPort: {port} is taken by another process; end that one, or set TELLTALE_HTTP_PORT"
        " to another port (0: a free one)"
    ]


def test_an_address_that_is_not_ours_is_a_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    async def main(_context: Context[ProcessSettings]) -> None:
        pytest.fail("it must not start")

    assert run_here(main, TELLTALE_HTTP_HOST="192.0.2.1") == 2
    assert messages(capsys)[0].startswith("httpHost, httpPort: cannot listen at 192.0.2.1:0: ")


def test_wrong_settings_are_told_as_text_and_end_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    async def main(_context: Context[ProcessSettings]) -> None:
        pytest.fail("it must not start")

    assert run_here(main, TELLTALE_HTTP_PORT="x", TELLTALE_PARTITIONS="0") == 2
    assert capsys.readouterr().err.splitlines() == [
        "telltale example: 2 settings are wrong:",
        "  partitions: '0' should be greater than or equal to 1 (from TELLTALE_PARTITIONS)",
        "  httpPort: 'x' should be a valid integer, unable to parse string as an integer"
        " (from TELLTALE_HTTP_PORT)",
    ]


STUBBORN = """
import asyncio, sys
from pipeline.process import Process, ProcessSettings, run

async def main(context):
    print("started", flush=True)
    await context.stopping.wait()
    print("asked", flush=True)
    await asyncio.Event().wait()

sys.exit(run(Process("stubborn", ProcessSettings, main, "")))
"""


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    environment = os.environ | {
        "TELLTALE_HTTP_PORT": "0",
        "TELLTALE_DRAIN_TIMEOUT": "5m",
        "TELLTALE_CONFIG": "",
    }
    with subprocess.Popen(
        [sys.executable, tmp_path / "stubborn.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(told.splitlines()[-1])["message"].startswith("Ended at once by a second SIGTERM")
