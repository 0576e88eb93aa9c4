from __future__ import annotations

import pytest

from pipeline.process import Envelope, read_envelope


def test_a_record_has_what_cloudevents_requires_and_reads_back() -> None:
    headers = Envelope("vehicle.alerts", "alerts").headers("a-1", subject="v1", time_ms=1_767_225_610_000)
    assert read_envelope(headers) == {
        "specversion": "1.0",
        "id": "a-1",
        "source": "/telltale/alerts",
        "type": "dev.telltale.alert",
        "time": "2026-01-01T00:00:10.000Z",
        "subject": "v1",
        "datacontenttype": "application/json",
    }


def test_a_subject_is_left_out_where_there_is_none() -> None:
    assert "subject" not in read_envelope(
        Envelope("vehicle.telemetry", "x").headers("1", subject=None, time_ms=0)
    )


def test_a_record_that_is_no_event_reads_as_nothing() -> None:
    assert read_envelope([("mqtt-topic", b"vehicles/v1/telemetry")]) == {}


def test_bytes_that_are_no_text_do_not_stop_the_reader() -> None:
    assert read_envelope([("ce_id", b"\xff")]) == {"id": "\ufffd"}


def test_a_topic_of_foreign_bytes_has_no_envelope() -> None:
    with pytest.raises(ValueError, match=r"vehicle\.raw have no event type"):
        Envelope("vehicle.raw", "uplink")
