"""`reorder_within_ms`: a vehicle's messages go on in the order of their times, unless too far apart."""

import json
import random
from itertools import groupby
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from pipeline.stages.normalize import Normalize
from pipeline.stages.reordering import HELD, MOST
from pipeline.stages.telemetry import decode_telemetry
from tests.stages.driving import START
from tests.stages.partition import Record, run, steps
from tests.stages.test_normalize import SHAPE, Message, logs, raw, through_alerts

WITHIN = 2_000


def new_waiting():
    return Normalize(SHAPE, 0, WITHIN)


def said(result):
    """(vehicle, time, sequence) of each telemetry record, in order."""
    told = [
        decode_telemetry(out.value) for out in result.outputs if out.topic == "vehicle.telemetry" and out.key
    ]
    return [(one.vehicle_id, one.instant, one.sequence) for one in told]


def of_vehicle(told, vehicle):
    return [(instant, sequence) for name, instant, sequence in told if name == vehicle]


@st.composite
def disordered(draw):
    """Two vehicles that speak every now and then; a message is on its way for less than WITHIN."""
    choice = random.Random(draw(st.integers(0, 2**40)))
    at, sent = START, []
    for number in range(draw(st.integers(2, 40))):
        at += choice.choice([0, 10, 200, 900, 3_000])
        way = choice.choice([0, 0, 5, 300, 1_200, WITHIN - 1])
        sent.append(
            (at + way, Message(choice.choice(["v1", "v2"]), at + way, -way, {"seq": number, "speed": number}))
        )
        if choice.random() < 0.3:
            sent.append((at, at))
    received = [what for _, what in sorted(sent, key=itemgetter(0))]
    return [*received, at + 2 * WITHIN]


@given(disordered())
def test_messages_less_than_the_time_apart_go_on_in_order(log):
    told = said(run(new_waiting, raw(log)))
    for vehicle in ("v1", "v2"):
        ours = of_vehicle(told, vehicle)
        assert ours == sorted(ours)
    assert sorted(told) == sorted(said(run(lambda: Normalize(SHAPE), raw(log))))


@given(disordered(), steps)
def test_batches_and_deaths_change_nothing_while_messages_wait(log, plan):
    assert run(new_waiting, raw(log), plan) == run(new_waiting, raw(log))


@given(logs(), steps)
def test_nor_does_anything_else_that_a_log_may_hold(log, plan):
    assert run(new_waiting, raw(log), plan) == run(new_waiting, raw(log))


@settings(max_examples=60)
@given(logs())
def test_a_message_goes_on_when_its_time_or_that_of_a_later_one_has_come_and_not_before(log):
    records = raw(log)
    logic = new_waiting()
    logic.restored(None)
    clock, waiting = 0, []
    for record in records:
        out = []
        logic.process("vehicle.raw", [record], out)
        clock = max(clock, record.timestamp)
        gone = [each for each in out if each.topic == "vehicle.telemetry" and each.key]
        due = [
            (vehicle, held)
            for vehicle, held in waiting
            if any(
                name == vehicle and one >= held and one.received_at + WITHIN <= clock for name, one in waiting
            )
        ]
        assert {int(dict(each.headers)["ce_id"].split(b":")[1]) for each in gone} == {
            it.offset for _, it in due
        }
        waiting = [each for each in waiting if each not in due]
        waiting += [
            (vehicle, held)
            for vehicle, messages in logic._reordering._held.items()
            for held in messages
            if held.offset == record.offset
        ]
        for key, ours in groupby(gone, lambda each: each.key):
            instants = [decode_telemetry(each.value).instant for each in ours]
            assert instants == sorted(instants), key


def test_what_comes_in_the_wrong_order_gives_the_alerts_of_the_right_one():
    drive = [
        Message("v1", START + 1000 * second, 0, {"seq": second, "coolant": 90 + 10 * (second > 3)})
        for second in range(9)
    ]
    drive += [
        Message("v1", START + 9_000 + 1000 * second, 0, {"seq": 9 + second, "coolant": 120.0})
        for second in range(60)
    ]
    shuffled = list(drive)
    for place in range(0, len(drive) - 1, 2):
        first, second = drive[place : place + 2]
        late = Message("v1", second.at + 1, first.at - second.at - 1, first.payload)
        shuffled[place : place + 2] = [second, late]
    ticks = [START + 80_000]
    right = run(new_waiting, raw([*drive, *ticks]))
    wrong = run(new_waiting, raw([*shuffled, *ticks]))
    assert said(wrong) == said(right)
    assert [out.value for out in through_alerts(wrong)] != []
    times = [[(out.topic, decode_ends(out)) for out in through_alerts(each)] for each in (right, wrong)]
    assert times[0] == times[1]


def decode_ends(out):
    told = json.loads(out.value)
    return {key: told.get(key) for key in ("rule", "state", "startsAt", "firedAt", "endsAt", "value")}


def test_a_message_waits_in_the_state_and_leaves_it():
    log = raw([Message("v1", START, 0, {"seq": 1}), START + WITHIN - 1])
    waiting = run(new_waiting, log)
    assert said(waiting) == []
    assert [key for key in waiting.state if HELD in key] != []
    gone = run(new_waiting, raw([Message("v1", START, 0, {"seq": 1}), START + WITHIN - 1, START + WITHIN]))
    assert [sequence for _, _, sequence in said(gone)] == [1]
    assert [key for key in gone.state if HELD in key] == []


def test_a_message_goes_on_before_the_tick_at_which_its_time_has_come():
    result = run(new_waiting, raw([Message("v1", START, 0, {"seq": 1}), START + WITHIN]))
    assert [out.key for out in result.outputs] == [b"v1", None]


def test_messages_of_one_time_go_in_the_order_of_their_sequence():
    log = [Message("v1", START + at, -at, {"seq": 9 - at}) for at in range(5)]
    told = said(run(new_waiting, raw([*log, START + 2 * WITHIN])))
    assert [sequence for _, _, sequence in told] == [5, 6, 7, 8, 9]


def test_one_that_is_too_late_goes_on_late():
    log = [
        Message("v1", START, 0, {"seq": 1}),
        START + WITHIN,
        Message("v1", START + WITHIN, -WITHIN - 5, {"seq": 0}),
    ]
    told = said(run(new_waiting, raw([*log, START + 2 * WITHIN])))
    assert [sequence for _, _, sequence in told] == [1, 0]


def test_a_flood_does_not_wait_beyond_its_bound():
    log = [Message("v1", START, -at, {"seq": at}) for at in range(MOST + 3)]
    result = run(new_waiting, raw(log))
    assert [sequence for _, _, sequence in said(result)] == [MOST, MOST + 1, MOST + 2]


def test_a_vehicle_that_is_forgotten_is_heard_out_first():
    log = raw([Message("v1", START, 0, {"seq": 1})])
    result = run(new_waiting, [*log, Record("vehicle.raw", 1, START + 1, b"v1", None)])
    assert [out.value is None for out in result.outputs] == [False, True]
    assert result.state == {}


def test_without_the_setting_what_still_waits_goes_on_with_the_next_record():
    log = raw([Message("v1", START, 0, {"seq": 1}), START + 5])
    waiting = run(new_waiting, log[:1])
    logic, out = Normalize(SHAPE), []
    for key, value in waiting.state.items():
        logic.restore(key, value)
    logic.restored(waiting.clock)
    logic.process("vehicle.raw", log[1:], out)
    assert [each.key for each in out] == [b"v1", None]


def test_messages_that_were_put_in_order_are_counted():
    before = moved()
    run(new_waiting, raw([Message("v1", START + at, -2 * at, {"seq": at}) for at in range(3)]))
    assert moved() - before == 2


def moved():
    return REGISTRY.get_sample_value("telltale_normalize_messages_reordered_total") or 0


@pytest.mark.parametrize("packed", [b"", b"\x02abc", b"\x01\xc1", b"\x01\x90"])
def test_state_of_another_format_is_refused(packed):
    with pytest.raises(Exception, match=r"format|Invalid|MessagePack|Array|array|Expected"):
        new_waiting().restore(b"v1\0" + HELD + b"\0" * 8, packed)
