import orjson
import pytest

from bridges.demo.accounts import PUBLISH_ID, Accounts, Seen, broken_identities

TICK = b'{"receivedAt": "2026-01-01T00:00:00.000Z"}'
LATENCY = {"p50": 40.0, "p99": 90.0}


def raw(publish_id, *, vehicle=b"v1", value=b'{"ts": 1, "seq": 1}'):
    return Seen("vehicle.raw", vehicle, value, {PUBLISH_ID: publish_id.encode()})


def record(topic, **document):
    return Seen(topic, b"v1", orjson.dumps(document), {})


def dead_letter(source_topic):
    return Seen("vehicle.dead-letter", b"v1", b"{", {"source-topic": source_topic})


def book(*records):
    accounts = Accounts()
    for seen in records:
        accounts.take(seen)
    return accounts


BALANCED = (
    raw("a"),
    raw("a"),
    raw("b", value=b'{"ts": 2, "seq": 2}'),
    raw("c", value=b'{"ts": 2, "seq": 2}'),
    raw("d", value=b'{"ts": 3'),
    raw("e", value=b'{"seq": 4}'),
    raw("f", vehicle=b"v2"),
    record("vehicle.telemetry", ts="1"),
    record("vehicle.telemetry", ts="2"),
    record("vehicle.telemetry", ts="1"),
    dead_letter(b"demo.vehicle.raw"),
    dead_letter(b"demo.vehicle.raw"),
    record("vehicle.alerts", id="x", state="firing"),
    record("vehicle.alerts", id="x", state="firing"),
    record("vehicle.alerts", id="y", state="firing"),
    record("vehicle.alerts", id="y", state="resolved"),
    record("vehicle.commands", id="1"),
    record("vehicle.commands", id="2"),
    record("vehicle.command-deliveries", id="1", state="published"),
    record("vehicle.command-deliveries", id="2", state="expired"),
    record("vehicle.command-responses", id="1", status="acknowledged"),
    record("vehicle.command-responses", id="1", status="acknowledged"),
    record("vehicle.geofence-events", id="g", event="enter"),
    record("vehicle.geofence-events", id="g", event="enter"),
    record("vehicle.aggregates", id="w", update=0, final=False),
    record("vehicle.aggregates", id="w", update=1, final=True),
    record("vehicle.aggregates", id="w", update=1, final=True),
)


def test_the_books_have_exactly_these_keys_and_balance():
    summary = book(*BALANCED).summary(published=6, latency_ms={**LATENCY, "count": 2})
    assert summary == {
        "published": 6,
        "redelivered": 1,
        "uplinked": 7,
        "normalized": 3,
        "duplicates": 2,
        "dead_lettered": 2,
        "alerts_fired": 2,
        "alerts_resolved": 1,
        "alerts_firing": 1,
        "commands_requested": 2,
        "commands_published": 1,
        "commands_expired": 1,
        "commands_undeliverable": 0,
        "commands_acknowledged": 1,
        "geofence_events": 1,
        "aggregates": 2,
        "latency_ms": LATENCY,
    }
    assert broken_identities(summary) == []


@pytest.mark.parametrize(
    ("more", "published", "broken"),
    [
        pytest.param((), 7, "published 7 + redelivered 1 = 8", id="message-lost"),
        pytest.param((record("vehicle.telemetry"),), 6, "normalized 4 + duplicates 2", id="message-doubled"),
        pytest.param((record("vehicle.commands", id="3"),), 6, "commands_published 1", id="command-lost"),
        pytest.param(
            (record("vehicle.alerts", id="z", state="resolved"),), 6, "resolved 2", id="never-began"
        ),
        pytest.param((record("vehicle.alerts", id="y", state="firing"),), 6, "firing is 2", id="never-ends"),
    ],
)
def test_what_is_lost_or_doubled_breaks_an_identity(more, published, broken):
    summary = book(*BALANCED, *more).summary(published=published, latency_ms=LATENCY)
    assert any(broken in sentence for sentence in broken_identities(summary))


def test_ticks_and_dead_letters_of_other_topics_are_not_booked():
    accounts = book(
        Seen("vehicle.raw", None, TICK, {}),
        Seen("vehicle.telemetry", None, TICK, {}),
        dead_letter(b"demo.vehicle.commands"),
    )
    assert (accounts.uplinked, accounts.normalized, accounts.dead_lettered) == (0, 0, 0)


def test_a_vehicle_that_is_forgotten_and_says_the_same_again_leaves_the_books_balanced():
    null = [Seen(topic, b"v1", None, {}) for topic in ("vehicle.raw", "vehicle.telemetry")]
    again = [raw("g"), record("vehicle.telemetry", ts="1")]
    summary = book(*BALANCED, *null, *again).summary(published=7, latency_ms=LATENCY)
    assert (summary["uplinked"], summary["normalized"], summary["duplicates"]) == (8, 4, 2)
    assert broken_identities(summary) == []


@pytest.mark.parametrize(
    ("states", "counted"),
    [
        (("published", "published"), "published"),
        (("expired", "published"), "published"),
        (("published", "expired"), "published"),
        (("expired", "undeliverable"), "undeliverable"),
    ],
)
def test_a_command_that_was_taken_up_twice_counts_once(states, counted):
    accounts = book(*(record("vehicle.command-deliveries", id="1", state=state) for state in states))
    assert {state for state, count in accounts.outcome_counts().items() if count} == {counted}
    assert sum(accounts.outcome_counts().values()) == 1
