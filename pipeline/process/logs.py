"""Logs go to stderr, one JSON object a line, readable text on a terminal; stdout is for results.

structlog and the standard library's logging end in one handler, so that faust, aiokafka and paho
look like the rest. A client that has lost its broker says so hundreds of times a second: the chatty
loggers get a few lines of each kind in ten seconds, and the next line tells how many were left out.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

CHATTY = ("aiokafka", "paho", "faust", "mode", "kafka")
TALKATIVE = ("aiokafka", "faust", "mode")
"""Every heartbeat, every rebalance and every part that starts is news to them: their info is our debug."""
_LINES = 3
_WINDOW_S = 10.0
_KINDS = 1000
_VARYING = re.compile(r"\d+|'[^']*'|<[^>]*>|\{[^}]*\}")


class RateLimit(logging.Filter):
    """A few records of each kind in a window; time is the record's own."""

    def __init__(self, lines: int = _LINES, window_s: float = _WINDOW_S) -> None:
        super().__init__()
        self._lines = lines
        self._window_s = window_s
        self._kinds: dict[tuple[str, int, str], list[float]] = {}  # [start of the window, passed, left out]

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes; one that follows others left out says how many they were."""
        if record.name.partition(".")[0] not in CHATTY or record.levelno < logging.INFO:
            return True
        kind = (record.name, record.levelno, _VARYING.sub("*", str(record.msg))[:200])
        window = self._kinds.get(kind)
        if window is None:
            if len(self._kinds) >= _KINDS:
                self._kinds.clear()
            self._kinds[kind] = [record.created, 1, 0]
            return True
        if record.created - window[0] >= self._window_s:
            if window[2]:
                record.left_out = int(window[2])
            window[:] = [record.created, 1, 0]
            return True
        if window[1] < self._lines:
            window[1] += 1
            return True
        window[2] += 1
        return False


def configure_logs(
    level: str = "info", log_format: str = "auto", stream: TextIO | None = None, process: str | None = None
) -> None:
    """Send all logs of this program to `stream` (stderr); replaces what was configured before."""
    stream = sys.stderr if stream is None else stream
    text = log_format == "text" or (log_format == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(RateLimit())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _left_out],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(text, stream, process),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


def _rendering(text: bool, stream: TextIO, process: str | None) -> list[structlog.typing.Processor]:
    if text:
        return [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="time"),
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(),
                timestamp_key="time",
                event_key="event",
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]

    def name_keys(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line: dict[str, Any] = {
            "time": event.pop("time", None),
            "level": event.pop("level", None),
            "process": process,
            "logger": event.pop("logger", None),
            "message": event.pop("event", None),
        }
        line.update(event)
        return {key: value for key, value in line.items() if value is not None}

    return [
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        name_keys,
        structlog.processors.JSONRenderer(serializer=_serialize),
    ]


def _serialize(event: object, **_options: object) -> str:
    return json.dumps(event, default=str, ensure_ascii=False)


def _left_out(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record = event.get("_record")
    count = getattr(record, "left_out", None)
    if count:
        event["left_out"] = count
    return event
