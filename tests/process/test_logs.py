from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from pipeline.process.logs import TALKATIVE, RateLimit, configure_logs


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_those_of_libraries_look_the_same() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream, process="uplink")
    structlog.get_logger("telltale.uplink").info("Connected to the broker", host="localhost", port=1883)
    logging.getLogger("faust.worker").warning("The %s is %d", "answer", 42)
    ours, theirs = lines(stream)
    assert ours == {
        "time": ours["time"],
        "level": "info",
        "process": "uplink",
        "logger": "telltale.uplink",
        "message": "Connected to the broker",
        "host": "localhost",
        "port": 1883,
    }
    assert theirs["message"] == "The answer is 42"
    assert list(theirs) == ["time", "level", "process", "logger", "message"]


def test_an_exception_stays_on_one_line_of_json() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    try:
        raise ValueError("broken\nin two")
    except ValueError:
        structlog.get_logger("x").exception("It failed")
        logging.getLogger("y").exception("It failed too")
    for line in lines(stream):
        assert "ValueError: broken\nin two" in str(line["exception"])


def test_a_secret_and_an_odd_object_can_be_logged() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    structlog.get_logger("x").info("Settings", password=SecretStr("hush"), thing=object(), raw=b"\xff")
    assert "hush" not in stream.getvalue()
    assert len(lines(stream)) == 1


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    configure_logs("warning", "json", stream)
    structlog.get_logger("x").info("quiet")
    logging.getLogger("y").info("quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", ["aiokafka.consumer", "faust.app", "mode.services"])
def test_what_clients_say_at_info_is_for_debugging(name: str) -> None:
    for level, told in (("info", 0), ("debug", 1)):
        stream = io.StringIO()
        configure_logs(level, "json", stream)
        logging.getLogger(name).info("Starting...")
        assert len(lines(stream)) == told


def test_text_is_for_people() -> None:
    stream = io.StringIO()
    configure_logs("info", "text", stream)
    structlog.get_logger("x").info("Connected", port=1883)
    assert "Connected" in stream.getvalue()
    assert "port=1883" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_auto_is_json_where_nobody_watches() -> None:
    stream = io.StringIO()
    configure_logs("info", "auto", stream)
    structlog.get_logger("x").info("Connected")
    assert lines(stream)[0]["message"] == "Connected"


def test_a_warning_of_python_is_a_log_line() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    logging.getLogger("py.warnings").warning("deprecated")
    assert lines(stream)[0]["logger"] == "py.warnings"


def record(name: str, message: str, created: float, level: int = logging.ERROR) -> logging.LogRecord:
    made = logging.LogRecord(name, level, __file__, 1, message, (), None)
    made.created = created
    return made


def test_a_chatty_logger_gets_three_lines_of_a_kind_in_ten_seconds() -> None:
    limit = RateLimit()
    passed = [limit.filter(record("aiokafka.conn", f"no answer from node {n}", n / 100)) for n in range(100)]
    assert sum(map(bool, passed)) == 3


def test_the_next_line_says_how_many_were_left_out() -> None:
    limit = RateLimit()
    for n in range(100):
        limit.filter(record("aiokafka.conn", f"no answer from node {n}", n / 100))
    later = record("aiokafka.conn", "no answer from node 7", 10.5)
    assert limit.filter(later)
    assert later.__dict__["left_out"] == 97


def test_another_kind_of_line_is_not_held_back() -> None:
    limit = RateLimit()
    for n in range(10):
        limit.filter(record("aiokafka.conn", "no answer", n / 100))
    assert limit.filter(record("aiokafka.conn", "not authorized", 0.2))
    assert limit.filter(record("aiokafka.group", "no answer", 0.2))


def test_our_own_lines_are_never_held_back() -> None:
    limit = RateLimit()
    assert all(limit.filter(record("telltale.uplink", "same", 0.0)) for _ in range(100))


def test_the_memory_of_kinds_is_bounded() -> None:
    limit = RateLimit()
    for n in range(5000):
        limit.filter(record("paho", "x" * (n % 150) + chr(0x4E00 + n), 0.0))
    assert len(limit._kinds) <= 1000


def test_left_out_lines_are_told_in_the_log_itself() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    handler = logging.getLogger().handlers[0]
    for n in range(10):
        handler.handle(record("aiokafka.conn", f"no answer from {n}", float(n) / 10))
    handler.handle(record("aiokafka.conn", "no answer from 1", 20.0))
    assert lines(stream)[-1]["left_out"] == 7
