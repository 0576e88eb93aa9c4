"""The stage `normalize` as a function of its log: batches, deaths, redelivery, bad input (DESIGN 11)."""

import json
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from pipeline.process.failures import ConfigurationError
from pipeline.stages.live_catalog import Shape
from pipeline.stages.normalize import Normalize, stage
from pipeline.stages.payloads import SignalShape, shape_of
from pipeline.stages.settings import RuleStageSettings
from pipeline.stages.telemetry import decode_telemetry
from rules import load
from rules.instants import format_instant
from tests.stages.driving import HOUR_MS, RULES, START, new_alerts
from tests.stages.partition import Record, headers_of, run, steps

CATALOG = load([RULES]).catalog.document
SHAPE = shape_of(CATALOG)
STRICT = shape_of(CATALOG.model_copy(update={"spec": CATALOG.spec.model_copy(update={"strict": True})}))
JSON = ("content-type", b"application/json")


def new_normalize(shape=SHAPE):
    return Normalize(shape)


def new_strict():
    return new_normalize(STRICT)


class Message(NamedTuple):
    """One publish of a vehicle: when the uplink received it, how far its clock runs ahead, what it says."""

    vehicle: str
    at: int
    ahead: int
    payload: dict[str, object] | bytes

    @property
    def value(self) -> bytes:
        if isinstance(self.payload, bytes):
            return self.payload
        return json.dumps({"ts": self.at + self.ahead, **self.payload}).encode()


def raw(messages, headers=(JSON,)):
    """The log: each message received at its `at`; None is a tick."""
    return [
        Record("vehicle.raw", offset, message.at, message.vehicle.encode(), message.value, headers)
        if isinstance(message, Message)
        else Record("vehicle.raw", offset, message, None, tick(message))
        for offset, message in enumerate(messages)
    ]


def tick(at):
    return json.dumps({"receivedAt": format_instant(at)}).encode()


def downstream(result):
    """What a rule stage sees, without the ids of records: those are places in the log."""
    return [(out.key, out.value, out.timestamp) for out in result.outputs if out.topic == "vehicle.telemetry"]


payloads = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "seq": st.integers(0, 6),
            "speed": st.sampled_from((0, 50.5, 130, 160.0, -1, "fast")),
            "coolant": st.sampled_from((90, 120.0, None)),
            "belt": st.sampled_from((True, False, 1)),
            "lat": st.just(31.2),
            "lon": st.just(121.4),
            "extra": st.just({"a": 1}),
        },
    ),
    st.sampled_from((b"{", b"[]", b"", b'{"ts": "noon"}', b'{"speed": 1}')),
)


@st.composite
def logs(draw):
    """Messages of two vehicles whose clocks run ahead or behind, and ticks, in the order of receipt."""
    now, messages = START, []
    vehicles, aheads = st.sampled_from(("v1", "v2")), (0, 0, -4_000, 900, 2_500, 90_000, -HOUR_MS, 301_000)
    for passed in draw(
        st.lists(st.sampled_from((0, 10, 900, 1_000, 4_000, 60_000)), min_size=4, max_size=40)
    ):
        now += passed
        if draw(st.integers(0, 3)) == 0:
            messages.append(now)
        else:
            messages.append(Message(draw(vehicles), now, draw(st.sampled_from(aheads)), draw(payloads)))
    return messages


# -- the log alone decides ---------------------------------------------------------------------------------


redeliveries = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=20)


@given(logs(), redeliveries, steps)
def test_batches_and_deaths_of_workers_change_nothing(messages, again, plan):
    log = raw(redelivered(messages, again))
    assert run(new_normalize, log, plan) == run(new_normalize, log)


@given(logs())
def test_every_record_becomes_telemetry_a_dead_letter_or_a_counted_duplicate(messages):
    before = outcomes()
    result = run(new_normalize, raw(messages))
    counted = outcomes() - before
    written = Counter(out.topic for out in result.outputs if out.key is not None)
    assert written["vehicle.telemetry"] == counted["normalized"]
    assert written["vehicle.dead-letter"] == counted["dead_letter"]
    assert counted.total() == sum(isinstance(message, Message) for message in messages)


def outcomes():
    names = ("normalized", "duplicate", "dead_letter")
    found = {
        name: REGISTRY.get_sample_value("telltale_normalize_messages_total", {"outcome": name})
        for name in names
    }
    return Counter({name: int(value or 0) for name, value in found.items()})


@given(logs())
def test_ticks_pass_as_they_are_and_in_their_place(messages):
    result = run(new_normalize, raw(messages))
    passed = [out for out in result.outputs if out.key is None]
    ticks = [message for message in messages if isinstance(message, int)]
    assert [(out.topic, out.value, out.timestamp, out.partition) for out in passed] == [
        ("vehicle.telemetry", tick(at), at, None) for at in ticks
    ]
    assert [out.timestamp for out in result.outputs] == sorted(out.timestamp for out in result.outputs)


# -- redelivery --------------------------------------------------------------------------------------------


def redelivered(messages, again):
    """The log in which messages come once more, some records later, received at that time."""
    log = list(messages)
    for place, distance in again:
        known = [number for number, one in enumerate(log) if isinstance(one, Message) and one.ahead < 300_000]
        if known:
            number = known[place % len(known)]
            after = min(number + distance, len(log))
            before = log[after - 1]
            at = before.at if isinstance(before, Message) else before
            log.insert(after, Message(log[number].vehicle, at, 0, log[number].value))
    return log


@given(logs(), redeliveries)
@example([Message("v1", START, 2_500, {"seq": 1}), START + 1_000], [(0, 2)])
@example([Message("v1", START, 2_500, {}), START + 1_000], [(0, 2)])
def test_redelivery_changes_nothing_downstream(messages, again):
    once = run(new_normalize, raw(messages))
    twice = run(new_normalize, raw(redelivered(messages, again)))
    assert downstream(twice) == downstream(once)
    assert [out._replace(headers=()) for out in through_alerts(twice)] == [
        out._replace(headers=()) for out in through_alerts(once)
    ]


@given(logs(), redeliveries, steps, steps)
def test_redelivery_and_deaths_on_the_way_give_the_same_alerts(messages, again, plan, next_plan):
    once = run(new_normalize, raw(messages))
    twice = run(new_normalize, raw(redelivered(messages, again)), plan)
    assert downstream(twice) == downstream(once)
    assert through_alerts(twice, next_plan) == through_alerts(once)


def through_alerts(result, plan=()):
    telemetry = [
        Record("vehicle.telemetry", offset, out.timestamp, out.key, out.value, out.headers)
        for offset, out in enumerate(out for out in result.outputs if out.topic == "vehicle.telemetry")
    ]
    return run(new_alerts, telemetry, plan).outputs


def test_row_duplicate_message_is_counted_once_for_each_copy():
    message = Message("v1", START, 0, {"seq": 7, "speed": 50})
    before = outcomes()
    result = run(new_normalize, raw([message] * 3))
    assert len(result.outputs) == 1
    assert outcomes() - before == Counter(normalized=1, duplicate=2)


def test_row_duplicate_a_lower_sequence_with_a_newer_time_is_a_reboot():
    log = [Message("v1", START + second, 0, {"seq": seq}) for second, seq in enumerate((7, 8, 1, 2, 7))]
    assert len(run(new_normalize, raw(log)).outputs) == 5


# -- DESIGN 11 ---------------------------------------------------------------------------------------------

GOOD = Message("v1", START, 0, {"seq": 7, "speed": 130, "belt": True})
NEXT = Message("v1", START + 1_000, 0, {"seq": 8, "speed": 131})


@pytest.mark.parametrize(
    ("code", "payload"),
    [
        pytest.param("payload-empty", b"", id="empty"),
        pytest.param("payload-undecodable", b"{", id="no-json"),
        pytest.param("payload-undecodable", b'{"ts": "\xff"}', id="no-utf-8"),
        pytest.param("payload-undecodable", b"[" * 100_000 + b"]" * 100_000, id="too-deep"),
        pytest.param("payload-undecodable", b'{"ts": NaN}', id="not-a-number"),
        pytest.param("payload-not-an-object", b"[1]", id="list"),
        pytest.param("payload-too-large", b'{"a": "' + b"x" * 2**20 + b'"}', id="too-large"),
        pytest.param("time-missing", b'{"speed": 1}', id="no-time"),
        pytest.param("time-missing", b'{"ts": null}', id="time-null"),
        pytest.param("time-unreadable", b'{"ts": "noon"}', id="time-no-number"),
        pytest.param("time-unreadable", b'{"ts": 1e300}', id="time-beyond-years"),
        pytest.param("time-unreadable", b'{"ts": true}', id="time-boolean"),
        pytest.param("time-too-old", b'{"ts": 7}', id="time-too-old"),
        pytest.param("time-in-the-future", b'{"ts": %d}' % (START + 300_001), id="time-in-the-future"),
    ],
)
def test_row_undecodable_payload_is_a_dead_letter_and_the_next_message_is_unaffected(code, payload):
    spoiled = raw(
        [GOOD, Message("v1", START, 0, payload), NEXT], (JSON, ("mqtt-topic", b"vehicles/v1/telemetry"))
    )
    result = run(new_normalize, spoiled)
    (dead,) = [out for out in result.outputs if out.topic == "vehicle.dead-letter"]
    assert (dead.key, dead.value, dead.timestamp) == (b"v1", payload, START)
    headers = headers_of(dead)
    assert (headers["code"], headers["stage"]) == (code, "normalize")
    assert (headers["source-topic"], headers["source-partition"], headers["source-offset"]) == (
        "vehicle.raw",
        "0",
        "1",
    )
    assert headers["original-mqtt-topic"] == "vehicles/v1/telemetry"
    assert headers["original-content-type"] == "application/json"
    assert headers["reason"]
    assert downstream(result) == downstream(run(new_normalize, [spoiled[0], spoiled[2]]))


@pytest.mark.parametrize(
    ("code", "key"),
    [
        pytest.param("vehicle-id-missing", None, id="no-key"),
        pytest.param("vehicle-id-missing", b"", id="empty"),
        pytest.param("vehicle-id-invalid", b"\xff", id="no-utf-8"),
        pytest.param("vehicle-id-invalid", b"v\0w", id="zero-character"),
        pytest.param("vehicle-id-invalid", b"v" * 257, id="too-long"),
    ],
)
def test_row_payload_without_a_vehicle_id_is_a_dead_letter(code, key):
    good = raw([GOOD, NEXT])
    bad = good[0]._replace(key=key)
    result = run(new_normalize, [bad, *good])
    (dead,) = [out for out in result.outputs if out.topic == "vehicle.dead-letter"]
    assert (dead.key, dead.value, headers_of(dead)["code"]) == (key, bad.value, code)
    assert downstream(result) == downstream(run(new_normalize, good))


def test_row_undecodable_a_content_type_without_a_codec():
    (out,) = run(new_normalize, raw([GOOD], (("content-type", b"application/cbor"),))).outputs
    assert (out.topic, headers_of(out)["code"]) == ("vehicle.dead-letter", "content-type-unknown")


@given(st.binary() | st.text().map(str.encode), st.sampled_from((new_normalize, new_strict)))
def test_row_undecodable_any_bytes_are_telemetry_or_a_dead_letter(payload, logic):
    (out,) = run(logic, raw([Message("v1", START, 0, payload)])).outputs
    assert out.topic in ("vehicle.telemetry", "vehicle.dead-letter")


@pytest.mark.parametrize(
    ("reason", "spoiled"),
    [
        pytest.param("unknown-signal", {"colour": "red"}, id="unknown-to-the-catalog"),
        pytest.param("out-of-range", {"coolant": 201}, id="out-of-range"),
        pytest.param("wrong-type", {"coolant": "hot"}, id="wrong-type"),
        pytest.param("out-of-range", {"lat": 91, "lon": 0}, id="position-out-of-range"),
    ],
)
def test_row_signal_that_does_not_fit_is_dropped_and_counted_and_the_rest_is_used(reason, spoiled):
    message = Message("v1", START, 0, {**GOOD.payload, **spoiled})
    before = dropped(reason)
    result = run(new_normalize, raw([message, NEXT]))
    assert dropped(reason) == before + 1
    assert downstream(result) == downstream(run(new_normalize, raw([GOOD, NEXT])))
    assert decode_telemetry(result.outputs[0].value or b"").signals == {
        "Vehicle.Speed": 130.0,
        "Vehicle.Belt": True,
    }
    strict = run(new_strict, raw([message, NEXT])).outputs
    assert [out.topic for out in strict] == ["vehicle.dead-letter", "vehicle.telemetry"]
    assert headers_of(strict[0])["code"] == "signal-rejected"


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("telltale_normalize_signals_dropped_total", {"reason": reason}) or 0.0


def test_a_time_a_little_ahead_is_the_time_of_receipt_and_is_counted():
    before = dropped("time-ahead")
    log = [Message("v1", START, ahead, {"seq": ahead}) for ahead in (2_000, 2_001, 300_000)]
    telemetry = [decode_telemetry(out.value or b"") for out in run(new_normalize, raw(log)).outputs]
    assert [one.instant for one in telemetry] == [START + 2_000, START, START]
    assert dropped("time-ahead") == before + 2


def test_row_rule_file_with_errors_or_without_a_catalog_is_refused(tmp_path):
    rule = tmp_path / "rule.yaml"
    rule.write_text(
        "apiVersion: telltale.dev/v1alpha1\nkind: AlertRule\nmetadata: {name: a}\nspec: {for: 5x}\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        stage(RuleStageSettings(rules=(rule,)))
    assert any(problem.startswith(f"{rule}:4:13: ") for problem in refused.value.problems)
    assert len(refused.value.problems) > 1
    rule.write_text(
        "apiVersion: telltale.dev/v1alpha1\nkind: AlertRule\nmetadata: {name: a}\nspec: {when: 'true'}\n"
    )
    with pytest.raises(ConfigurationError, match="SignalCatalog"):
        stage(RuleStageSettings(rules=(rule,)))


# -- formats -----------------------------------------------------------------------------------------------


def test_state_of_a_later_version_is_refused():
    ((key, value),) = run(new_normalize, raw([GOOD])).state.items()
    with pytest.raises(ValueError, match="format 7f"):
        new_normalize().restore(key, b"\x7f" + value[1:])


def test_a_new_catalog_reads_from_the_next_batch_on_and_nothing_that_was_counted_is_lost():
    name = "telltale_normalize_signals_dropped_total"
    before = REGISTRY.get_sample_value(name, {"reason": "unknown-signal"}) or 0
    shape = Shape(SHAPE)
    logic, out = Normalize(shape), []
    first, second = raw([Message("v", START, 0, {"zzz": 1.0}), Message("v", START + 1000, 0, {"zzz": 2.0})])
    logic.process("vehicle.raw", [first], out)
    wider = SignalShape("Vehicle.Other", ("zzz",), "number", None, None, None)
    shape.current = replace(SHAPE, signals=(*SHAPE.signals, wider))
    logic.process("vehicle.raw", [second], out)
    logic.changes()
    assert [json.loads(each.value)["signals"] for each in out] == [{}, {"Vehicle.Other": 2.0}]
    assert REGISTRY.get_sample_value(name, {"reason": "unknown-signal"}) == before + 1
