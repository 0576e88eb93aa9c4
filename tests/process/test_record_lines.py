"""A record as one line."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.process import TOPICS, topic
from pipeline.record_lines import as_json_line, as_text_line
from tests.process.test_schemas import EXAMPLES

DEAD = [
    ("code", b"payload-not-json"),
    ("reason", b"it is not JSON"),
    ("stage", b"normalize"),
    ("source-topic", b"vehicle.raw"),
    ("source-partition", b"3"),
    ("source-offset", b"17"),
]


def record(value: bytes | None, key: bytes | None = b"v1", headers: Any = ()) -> Any:
    return SimpleNamespace(
        topic="vehicle.x",
        partition=1,
        offset=2,
        timestamp=1_767_225_610_000,
        key=key,
        value=value,
        headers=headers,
    )


@pytest.mark.parametrize(
    ("name", "value", "headers", "line"),
    [
        pytest.param(
            "vehicle.alerts",
            EXAMPLES["alert.json"][0],
            (),
            "v1            firing    warning   overspeed                 131  since 2026-01-01T00:00:10.000Z"
            "  131 km/h",
            id="alert",
        ),
        pytest.param(
            "vehicle.alerts",
            EXAMPLES["alert.json"][1],
            (),
            "v1            resolved  critical  overspeed                 -  2026-01-01T00:00:10.000Z stale  ",
            id="resolved",
        ),
        pytest.param(
            "vehicle.commands",
            EXAMPLES["command.json"][0],
            (),
            'v1            reduce-power          {"limit": 50}  by r, until 2026-01-01T00:00:10.000Z  c',
            id="command",
        ),
        pytest.param(
            "vehicle.telemetry",
            EXAMPLES["telemetry.json"][0],
            (),
            "v1            2026-01-01T00:00:10.000Z  Vehicle.Speed=131  Vehicle.IsMoving=true"
            "  Vehicle.Gear=D",
            id="telemetry",
        ),
        pytest.param(
            "vehicle.aggregates",
            EXAMPLES["aggregate.json"][0],
            (),
            "v1            battery-temperature-hourly  2026-01-01T00:00:10.000Z to 2026-01-01T00:00:10.000Z"
            "  final     model=ET5  p95=41.2  samples=3120",
            id="aggregate",
        ),
        pytest.param(
            "vehicle.late",
            EXAMPLES["late.json"][0],
            (),
            "v1            battery-temperature-hourly  2026-01-01T00:00:10.000Z  Vehicle.Speed=131",
            id="late",
        ),
        pytest.param(
            "telltale.shadow",
            EXAMPLES["shadow.json"][0],
            (),
            "v1            stable  vehicle.alerts          firing    warning   overspeed                 131"
            "  since 2026-01-01T00:00:10.000Z  ",
            id="shadow",
        ),
        pytest.param(
            "telltale.shadow",
            EXAMPLES["shadow.json"][1],
            (),
            "v1            shadow  maintenance.requests    {}",
            id="shadow-of-a-topic-of-an-author",
        ),
        pytest.param("vehicle.telemetry", {"receivedAt": "x"}, (), "v1            (tick)", id="tick"),
        pytest.param(
            "vehicle.dead-letter",
            "{oops",
            DEAD,
            "v1            payload-not-json      it is not JSON  (normalize, vehicle.raw:3:17)  {oops",
            id="dead-letter",
        ),
        pytest.param("vehicle.registry", {"model": "ET5"}, (), 'v1            {"model": "ET5"}', id="other"),
        pytest.param("vehicle.alerts", {"surprise": 1}, (), 'v1            {"surprise": 1}', id="unexpected"),
    ],
)
def test_a_line_says_what_matters_of_its_topic(name: str, value: object, headers: Any, line: str) -> None:
    text = as_text_line(record(json.dumps(value).encode(), headers=headers), topic(name))
    assert text == f"2026-01-01T00:00:10.000Z  {line}"


def test_a_payload_cannot_drive_the_terminal() -> None:
    text = as_text_line(record(b'{"a":"\x1b[2J"}', key=b"v\x1b[0m\n"), topic("vehicle.raw"))
    assert "\x1b" not in text
    assert "\n" not in text
    assert "\\x1b[2J" in text


def test_a_long_value_is_cut_and_says_how_long_it_was() -> None:
    text = as_text_line(record(b"x" * 5000), topic("vehicle.raw"))
    assert len(text) < 600
    assert text.endswith("… (5000 characters)")


@given(
    st.sampled_from(list(TOPICS)),
    st.none()
    | st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
    st.none() | st.binary(max_size=20),
    st.lists(
        st.tuples(st.sampled_from(["code", "reason", "mqtt-topic"]), st.none() | st.binary(max_size=9)),
        max_size=3,
    ),
)
def test_any_record_is_one_printable_line_and_one_json_object(
    name: str, value: bytes | None, key: bytes | None, headers: list[Any]
) -> None:
    made = record(value, key, headers)
    assert as_text_line(made, topic(name)).isprintable()
    line = as_json_line(made, topic(name))
    assert "\n" not in line
    assert json.loads(line)["offset"] == 2


def test_programs_get_the_whole_record() -> None:
    assert json.loads(
        as_json_line(record(b'{"a":1}', headers=[("ce_id", b"x")]), topic("vehicle.alerts"))
    ) == {
        "topic": "vehicle.x",
        "partition": 1,
        "offset": 2,
        "timestamp": "2026-01-01T00:00:10.000Z",
        "key": "v1",
        "headers": {"ce_id": "x"},
        "value": {"a": 1},
    }
    assert json.loads(as_json_line(record(b"\xff"), topic("vehicle.raw")))["value"] == {"base64": "/w=="}
    assert json.loads(as_json_line(record(None), topic("vehicle.raw")))["value"] is None
