"""A record of any topic as one line: for people what matters, for programs everything.

What vehicles sent is shown with its control characters escaped: a payload must not drive a terminal.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.process.times import format_time
from pipeline.process.topics import Topic

_LONGEST = 400


def as_json_line(record: Any, _topic: Topic) -> str:
    """The whole record for programs: a value that is JSON as it is, any other as text or in base64."""
    value = _decoded(record.value)
    if isinstance(value, bytes):
        value = {"base64": base64.b64encode(value).decode()}
    return json.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": format_time(record.timestamp),
            "key": None if record.key is None else record.key.decode(errors="backslashreplace"),
            "headers": {
                name: (content or b"").decode(errors="backslashreplace") for name, content in record.headers
            },
            "value": value,
        },
        ensure_ascii=False,
    )


def as_text_line(record: Any, topic: Topic) -> str:
    """What a person wants to know of the record."""
    value = _decoded(record.value)
    key = "-" if record.key is None else record.key.decode(errors="backslashreplace")
    describe = _LINES.get(topic.name)
    text = None
    if describe is not None:
        headers = {name: (content or b"").decode(errors="replace") for name, content in record.headers}
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            text = describe(value, headers)
    if text is None:
        text = _short(value, record.value)
    return _printable(f"{format_time(record.timestamp)}  {key:<12}  {text}")


def _alert(value: Any, _headers: Mapping[str, str]) -> str:
    when = f"since {value['startsAt']}" if value["endsAt"] is None else f"{value['endsAt']} {value['reason']}"
    summary = value["annotations"].get("summary", "")
    what = f"{value['state']:<8}  {value['severity']:<8}  {value['rule']:<24}"
    return f"{what}  {_scalar(value['value'])}  {when}  {summary}"


def _command(value: Any, _headers: Mapping[str, str]) -> str:
    payload = json.dumps(value["payload"], ensure_ascii=False)
    cause = value["cause"]
    return f"{value['name']:<20}  {payload}  by {cause['rule']}, until {value['expiresAt']}  {value['id']}"


def _delivery(value: Any, _headers: Mapping[str, str]) -> str:
    return f"{value['state']:<13}  {value['name']:<20}  {value['id']}  {value['reason'] or ''}"


def _response(value: Any, _headers: Mapping[str, str]) -> str:
    return f"{value['status']:<13}  {value['id']}  {value.get('reason') or ''}"


def _aggregate(value: Any, _headers: Mapping[str, str]) -> str:
    group = "  ".join(f"{name}={_scalar(content)}" for name, content in value["group"].items())
    values = "  ".join(f"{name}={_scalar(content)}" for name, content in value["values"].items())
    kind = "final" if value["final"] else f"update {value['update']}"
    return (
        f"{value['rule']:<24}  {value['windowStart']} to {value['windowEnd']}  {kind:<8}  {group}  {values}"
    )


def _late(value: Any, _headers: Mapping[str, str]) -> str:
    return f"{value['rule']:<24}  {_telemetry(value, {})}"


def _shadow(value: Any, headers: Mapping[str, str]) -> str:
    logical, record = value["topic"], value["record"]
    describe = _LINES.get(logical) if logical.startswith("vehicle.") else None
    what = _short(record, None) if describe is None else describe(record, headers)
    return f"{value['track']:<6}  {logical:<22}  {what}"


def _telemetry(value: Any, _headers: Mapping[str, str]) -> str:
    if "vehicleId" not in value:
        return "(tick)"
    signals = "  ".join(f"{name}={_scalar(content)}" for name, content in value["signals"].items())
    return f"{value['ts']}  {signals}"


def _dead_letter(value: Any, headers: Mapping[str, str]) -> str:
    source = f"{headers['source-topic']}:{headers['source-partition']}:{headers['source-offset']}"
    return (
        f"{headers['code']:<20}  {headers['reason']}  ({headers['stage']}, {source})  {_short(value, None)}"
    )


_LINES: dict[str, Callable[[Any, Mapping[str, str]], str]] = {
    "vehicle.alerts": _alert,
    "vehicle.aggregates": _aggregate,
    "vehicle.late": _late,
    "telltale.shadow": _shadow,
    "vehicle.commands": _command,
    "vehicle.command-deliveries": _delivery,
    "vehicle.command-status": _delivery,
    "vehicle.command-responses": _response,
    "vehicle.telemetry": _telemetry,
    "vehicle.dead-letter": _dead_letter,
}


def _decoded(value: bytes | None) -> Any:
    """JSON if it is JSON, else text, else the bytes."""
    if value is None:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value


def _short(value: Any, raw: bytes | None) -> str:
    if value is None:
        return "(deleted)" if raw is None else "null"
    text = (
        value
        if isinstance(value, str)
        else repr(value)
        if isinstance(value, bytes)
        else json.dumps(value, ensure_ascii=False)
    )
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else "-" if value is None else str(value)


def _printable(text: str) -> str:
    """The text with whatever could move a terminal escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
