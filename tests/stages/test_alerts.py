"""The stage `alerts` as a function of its log: time, restarts, batches, and bad input (DESIGN 11)."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from pipeline.process.failures import ConfigurationError
from pipeline.stages.alerts import stage
from pipeline.stages.clocks import Clocks
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.settings import RuleStageSettings
from rules.instants import format_instant, parse_instant
from tests.stages.driving import (
    CALM,
    HOT,
    HOUR_MS,
    QUIET_MS,
    START,
    Road,
    new_alerts,
    records_of,
    roads,
    signals,
)
from tests.stages.partition import After, headers_of, run, steps


def instant(milliseconds: int) -> str:
    return format_instant(START + milliseconds)


def of_vehicle(outputs, vehicle):
    return [output for output in outputs if output.key == vehicle.encode()]


# -- the log alone decides ---------------------------------------------------------------------------------


@given(roads(), steps)
def test_batches_and_deaths_of_workers_change_nothing(road, plan):
    assert run(new_alerts, road.records, plan) == run(new_alerts, road.records)


@given(roads())
def test_no_record_has_the_id_of_another(road):
    ids = Counter((out.topic, headers_of(out)["ce_id"]) for out in run(new_alerts, road.records).outputs)
    assert set(ids.values()) <= {1}


@given(roads(), st.lists(st.tuples(st.integers(0, 100), signals), max_size=30))
def test_another_vehicle_moves_nothing_of_a_silent_one(road, intrusions):
    busy = list(road.records)
    for place, said in intrusions:
        place = min(place, len(busy))
        other = Road()
        other.now = max((record.timestamp for record in busy[:place]), default=START)
        other.say("other", said)
        busy[place:place] = other.records
    alone = run(new_alerts, road.records).outputs
    beside = run(new_alerts, busy).outputs
    for vehicle in ("v1", "v2", "v3"):
        assert of_vehicle(beside, vehicle) == of_vehicle(alone, vehicle)


@given(roads())
def test_a_vehicle_is_moved_by_its_own_records_and_by_ticks_only(road):
    logic, caused = new_alerts(), []
    logic.restored(None)
    for record in road.records:
        logic.process(record.topic, [record], caused)
        assert record.key is None or {output.key for output in caused} <= {record.key}
        caused.clear()


# -- silence -----------------------------------------------------------------------------------------------


def test_the_hold_of_a_silent_vehicle_ends_on_time_and_says_when_it_was_due():
    road = Road()
    road.tick()
    road.say("v1", HOT, at=START + 400)
    heard = road.now
    road.tick(30)
    (alert,) = [one for one in road.alerts() if one["rule"] == "hot"]
    assert (alert["startsAt"], alert["firedAt"]) == (instant(400), instant(5_400))
    assert (alert["by"], alert["endsAt"]) == ("silence", None)
    # Not at 15 s, when the clock stands at the instant that is due: at the first tick that has passed it.
    assert alert["receivedAt"] == format_instant(heard + QUIET_MS + 6_000)


def test_keep_firing_for_of_a_silent_vehicle_ends_on_time():
    road = Road()
    road.tick()
    road.say("v1", HOT)
    road.tick(6)
    road.say("v1", HOT)
    road.tick(2)
    road.say("v1", CALM)
    cooled = road.now
    road.tick(20)
    fired, resolved = [one for one in road.alerts() if one["rule"] == "hot"]
    assert (fired["state"], fired["by"]) == ("firing", None)
    assert (resolved["state"], resolved["by"], resolved["reason"]) == ("resolved", "silence", "cleared")
    assert resolved["endsAt"] == format_instant(cooled + 3_000)
    assert resolved["receivedAt"] == format_instant(cooled + QUIET_MS + 4_000)


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_worker_that_takes_over_in_the_silence_knows_what_it_waits_for(cut):
    road = Road()
    road.tick()
    road.say("v1", HOT)
    road.tick(20)
    road.say("v1", CALM)
    road.tick(20)
    plan = [(cut, After.CHECKPOINT), (1, After.DEATH)]
    assert run(new_alerts, road.records, plan) == run(new_alerts, road.records)


@given(st.integers(0, 3_000), st.integers(0, 999), st.integers(0, 40))
def test_a_hold_fires_at_the_first_tick_that_has_passed_it_and_at_no_other(delay, phase, ticks):
    road = Road()
    road.tick()
    road.dead_uplink(phase)
    road.say("v1", HOT, late_ms=delay)
    at = road.now - delay
    road.tick(ticks)
    fired = [one for one in road.alerts() if one["rule"] == "hot"]
    # The tick after the message moves the live clock by what passed since the tick before it.
    live = ticks * 1_000 + phase if ticks else 0
    assert [one["firedAt"] for one in fired] == [format_instant(at + 5_000)] * (live > QUIET_MS + 5_000)


def test_an_alert_that_fired_by_silence_and_is_contradicted_ends_as_corrected():
    """Data that contradict a silence win: what they say is applied in order, with its own instants."""
    road = Road()
    road.tick()
    road.say("v1", HOT)
    begun = road.now
    road.tick(30)
    road.say("v1", CALM, at=begun + 2_000)
    road.tick(30)
    fired, resolved = [one for one in road.alerts() if one["rule"] == "hot"]
    assert (fired["by"], fired["firedAt"]) == ("silence", format_instant(begun + 5_000))
    assert (resolved["reason"], resolved["id"]) == ("corrected", fired["id"])


# -- an uplink that is away --------------------------------------------------------------------------------


@given(st.integers(1, 4), st.sampled_from((6_000, 60_000, 9 * HOUR_MS)))
def test_an_uplink_dead_for_hours_ends_no_timer_early(outages, dead_ms):
    road = Road()
    road.tick()
    road.say("v1", HOT)
    begun = road.now
    for _ in range(outages):
        road.tick(2)
        road.dead_uplink(dead_ms)
    # An outage counts as much as the second of the tick that ends it.
    silent = Road()
    silent.records = list(road.records)
    silent.now = road.now
    silent.tick(QUIET_MS // 1000 + 5 - 2 * outages)
    assert silent.alerts() == []
    silent.tick(1)
    (alert,) = [one for one in silent.alerts() if one["rule"] == "hot"]
    assert alert["firedAt"] == format_instant(begun + 5_000)
    # The backlog says that it was no alert at all.
    road.tick(2)
    road.say("v1", CALM, at=begun + 3_000)
    road.tick(60)
    assert [one for one in road.alerts() if one["rule"] == "hot"] == []


@st.composite
def drives(draw):
    """(Seconds since the start, signals) of a drive that is calm for a while around its middle."""
    second, samples = 0, []
    for part in range(2):
        for pause, said in draw(st.lists(st.tuples(st.integers(1, 5), signals), max_size=15)):
            second += pause
            samples.append((second, said))
        if part == 0:
            for _ in range(15):
                second += 4
                samples.append((second, CALM))
            middle = len(samples)
    return samples, middle


def lived(samples) -> Road:
    """Each message is received at once, under a living uplink."""
    road = Road()
    road.tick(1)
    return then_silence(live(road, samples))


def live(road, samples):
    for second, said in samples:
        while road.now < START + 1000 + second * 1000:
            road.tick()
        road.say("v1", said, at=START + 1000 + second * 1000)
    return road


def then_silence(road):
    road.tick(90)
    return road


def told(road, leave_out=()):
    """What was said, without the time at which it was heard."""
    alerts = [
        {name: value for name, value in alert.items() if name != "receivedAt"}
        for alert in road.alerts()
        if alert["rule"] not in leave_out
    ]
    commands = [
        (command["id"], command["cause"]["alertId"], command["payload"])
        for command in records_of(run(new_alerts, road.records).outputs, "vehicle.commands")
        if command["name"] == "slow-down"
    ]
    return alerts, commands


@given(drives(), st.sampled_from((HOUR_MS, 9 * HOUR_MS)))
def test_an_upload_hours_late_gives_the_alerts_that_live_ones_would_have_given(drive, gone_ms):
    """The rule `lost` is left out: its timer is due in the gap, which is why it is there."""
    samples, middle = drive
    late = Road()
    late.tick()
    live(late, samples[:middle])
    late.tick(gone_ms // 60_000)  # an uplink that lives: fewer ticks than in truth, more than any timer needs
    late.dead_uplink(gone_ms)
    for second, said in samples[middle:]:
        late.say("v1", said, at=START + 1000 + second * 1000)
    assert told(then_silence(late), {"lost"}) == told(lived(samples), {"lost"})


@given(drives(), st.integers(0, 60), st.sampled_from((4_000, HOUR_MS, 9 * HOUR_MS)))
def test_a_backlog_of_an_uplink_that_was_away_gives_what_live_ones_would_have_given(drive, cut, dead_ms):
    """Whatever was going on when it died, with every rule."""
    samples, _ = drive
    cut = min(cut, len(samples))
    late = Road()
    late.tick()
    live(late, samples[:cut])
    late.dead_uplink(dead_ms)
    for second, said in samples[cut:]:
        late.say("v1", said, at=START + 1000 + second * 1000)
    assert told(then_silence(late)) == told(lived(samples))


def test_an_action_on_old_news_is_not_taken_and_the_alert_is_recorded():
    road = Road()
    road.tick()
    road.say("v1", {**CALM, "Vehicle.Speed": 130.0}, late_ms=60_001)
    road.say("v2", {**CALM, "Vehicle.Speed": 130.0}, late_ms=60_000)
    outputs = run(new_alerts, road.records).outputs
    assert [one["vehicleId"] for one in records_of(outputs, "vehicle.alerts")] == ["v1", "v2"]
    asked = [(one["vehicleId"], one["name"]) for one in records_of(outputs, "vehicle.commands")]
    assert asked == [("v1", "slow-down"), ("v2", "slow-down"), ("v2", "beep")]


@given(roads())
def test_a_command_expires_a_minute_after_the_receipt_of_its_cause(road):
    for command in records_of(run(new_alerts, road.records).outputs, "vehicle.commands"):
        received_at = parse_instant(command["cause"]["receivedAt"])
        assert parse_instant(command["expiresAt"]) == received_at + 60_000


# -- DESIGN 11 ---------------------------------------------------------------------------------------------

GOOD = {"vehicleId": "v1", "ts": instant(0), "receivedAt": instant(0), "signals": {}}
UNDECODABLE = [
    pytest.param(b"", id="empty"),
    pytest.param(b"{", id="no-json"),
    pytest.param(b"[]", id="no-object"),
    pytest.param(b"\xff\xfe{}", id="no-utf-8"),
    pytest.param(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="too-deep"),
    *(
        pytest.param(json.dumps({key: value for key, value in GOOD.items() if key != name}).encode(), id=name)
        for name in GOOD
    ),
    *(
        pytest.param(json.dumps({**GOOD, **wrong}).encode(), id=identity)
        for identity, wrong in {
            "vehicle-is-a-number": {"vehicleId": 7},
            "time-is-a-number": {"ts": START},
            "time-is-no-time": {"ts": "noon"},
            "time-without-zone": {"ts": "2026-01-01T00:00:00.000"},
            "time-beyond-days": {"ts": "2026-02-30T00:00:00.000Z"},
            "time-before-the-year-1": {"ts": "0001-01-01T00:00:00.000+10:00"},
            "signal-is-a-list": {"signals": {"Vehicle.Speed": [1]}},
            "signal-is-null": {"signals": {"Vehicle.Speed": None}},
            "position-is-a-text": {"position": "here"},
        }.items()
    ),
]


@pytest.mark.parametrize("value", UNDECODABLE)
def test_row_undecodable_telemetry_is_a_dead_letter_and_the_next_message_is_unaffected(value):
    clean, spoiled = Road(), Road()
    for road in (clean, spoiled):
        road.tick()
        road.say("v1", HOT)
        if road is spoiled:
            road.put(b"v1", value)
        road.say("v1", {**HOT, "Vehicle.Speed": 130.0})
        road.tick(20)
    outputs = run(new_alerts, spoiled.records).outputs
    (dead,) = [output for output in outputs if output.topic == "vehicle.dead-letter"]
    assert (dead.key, dead.value) == (b"v1", value)
    headers = headers_of(dead)
    assert (headers["code"], headers["stage"]) == ("telemetry-undecodable", "alerts")
    assert (headers["source-topic"], headers["source-offset"]) == ("vehicle.telemetry", "2")
    assert headers["reason"]
    outputs.remove(dead)
    assert outputs == run(new_alerts, clean.records).outputs


def test_a_record_under_another_vehicles_key_moves_neither_vehicle():
    road = Road()
    road.tick()
    road.say("v1", {**CALM, "Vehicle.Speed": 130.0})
    stray = road.records.pop()
    road.put(b"v2", stray.value)
    road.tick(20)
    (dead,) = run(new_alerts, road.records).outputs
    assert (dead.topic, dead.key, dead.value) == ("vehicle.dead-letter", b"v2", stray.value)
    assert headers_of(dead)["code"] == "vehicle-id-differs"
    assert "'v1'" in headers_of(dead)["reason"]


@given(st.binary() | st.text().map(str.encode))
def test_row_undecodable_any_bytes_are_telemetry_or_a_dead_letter(value):
    road = Road()
    road.put(b"v1", value)
    (output,) = run(new_alerts, road.records).outputs
    assert output.topic == "vehicle.dead-letter"


def failures(rule: str) -> float:
    return REGISTRY.get_sample_value("telltale_alerts_rule_failed_total", {"rule": rule}) or 0.0


def test_row_rule_that_raises_is_counted_and_logged_and_the_others_are_not_affected():
    road = Road()
    road.tick()
    for second in range(70):
        road.say("v1", {**CALM, "Vehicle.Speed": 310.0}, at=START + second * 1000)
    before = failures("fragile")
    with capture_logs() as logs:
        alerts = road.alerts()
    assert failures("fragile") == before + 70
    assert [one["rule"] for one in alerts if one["state"] == "firing"] == ["fast", "fast-for-a-while"]
    lines = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["rule"], line["vehicle"], line["event_time_ms"]) for line in lines] == [
        ("fragile", "v1", START),
        ("fragile", "v1", START + 60_000),
    ]


def test_row_rule_that_raises_on_a_signal_of_another_type_than_the_catalog_says():
    road = Road()
    road.tick()
    road.say("v1", {**HOT, "Vehicle.Speed": "fast"}, at=START)
    road.say("v1", HOT, at=START + 5_000)
    assert [one["rule"] for one in road.alerts()] == ["hot"]


def test_row_rule_file_with_errors_is_refused_whole_with_all_errors_at_once_and_their_places(tmp_path):
    bad = tmp_path / "bad.yaml"
    head = "apiVersion: telltale.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec: {}\n---\n"
    bad.write_text(
        head.format("SignalCatalog", "default", "{timestamp: {path: ts}, signals: {speed: {}}}")
        + head.format("AlertRule", "good", "{when: speed > 1}")
        + head.format("AlertRule", "misspelt", "{when: sped > 1}")
        + head.format("AlertRule", "misshapen", "{when: speed > 1, for: 5x}")
    )
    with pytest.raises(ConfigurationError) as refused:
        stage(RuleStageSettings(rules=(bad,)))
    places = sorted(problem.split(": ")[0] for problem in refused.value.problems)
    assert places == [f"{bad}:14:14", f"{bad}:19:30"]


# -- formats -----------------------------------------------------------------------------------------------


def test_clocks_of_a_later_version_are_refused():
    logic = new_alerts()
    assert isinstance(logic, VehicleLogic)
    packed = Clocks(1, 2, 3).pack()
    with pytest.raises(ValueError, match="format"):
        logic.restored(bytes((packed[0] + 1,)) + packed[1:])
