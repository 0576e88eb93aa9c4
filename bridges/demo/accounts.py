"""The books of a run, kept from the topics alone: what goes in is what comes out, or it is said.

    published + redelivered = uplinked = normalized + duplicates + dead-lettered
    requested = published + expired + undeliverable
    fired − resolved = firing

No counter of any process is asked. `published` is what the fleet has PUBACKs for; a raw record whose
publish-id was there before was redelivered; a message whose vehicle, time and sequence were there
before is a duplicate. So the identities can fail, and then something was lost or doubled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

PUBLISH_ID = "mqtt-user-publish-id"

RAW = "vehicle.raw"
TELEMETRY = "vehicle.telemetry"
DEAD_LETTERS = "vehicle.dead-letter"
ALERTS = "vehicle.alerts"
COMMANDS = "vehicle.commands"
DELIVERIES = "vehicle.command-deliveries"
RESPONSES = "vehicle.command-responses"
GEOFENCE_EVENTS = "vehicle.geofence-events"
AGGREGATES = "vehicle.aggregates"
TOPICS = (
    RAW, TELEMETRY, DEAD_LETTERS, ALERTS, COMMANDS, DELIVERIES, RESPONSES, GEOFENCE_EVENTS, AGGREGATES,
)  # fmt: skip

IDENTITIES = (
    ("uplinked", ("published", "redelivered"), ()),
    ("uplinked", ("normalized", "duplicates", "dead_lettered"), ()),
    ("commands_requested", ("commands_published", "commands_expired", "commands_undeliverable"), ()),
    ("alerts_firing", ("alerts_fired",), ("alerts_resolved",)),
)
"""What equals the sum of what, less what."""

_BEST_FIRST = ("published", "undeliverable", "expired")
"""A command that the downlink took up twice, after a crash, counts once, by its best outcome."""


class Seen(NamedTuple):
    """A record as the observer saw it; `topic` without prefix. A tick is a record without a key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


class Accounts:
    """Counts of one run; `take` every record of TOPICS once, in the order of their partitions."""

    def __init__(self) -> None:
        self.uplinked = 0
        self.redelivered = 0
        self.duplicates = 0
        self.normalized = 0
        self.dead_lettered = 0
        self.responses = 0
        self._publish_ids: set[bytes] = set()
        self._messages: set[tuple[bytes, object, object]] = set()
        self._alerts: dict[str, set[str]] = {}
        self._last_state: dict[str, str] = {}
        self._requested: set[str] = set()
        self._outcomes: dict[str, set[str]] = {}
        self._acknowledged: set[str] = set()
        self._geofence_events: set[str] = set()
        self._aggregates: set[tuple[object, ...]] = set()

    @property
    def distinct(self) -> int:
        """How many of the fleet's publications have arrived, however often."""
        return len(self._publish_ids)

    @property
    def geofence_events(self) -> int:
        """Entries, exits, dwells and crossings, each once."""
        return len(self._geofence_events)

    @property
    def aggregates(self) -> int:
        """Results of windows and their corrections, each once."""
        return len(self._aggregates)

    def take(self, seen: Seen) -> None:
        """Books one record."""
        if seen.key is None:
            return
        if seen.value is None and seen.topic in (RAW, TELEMETRY):
            self._messages = {message for message in self._messages if message[0] != seen.key}
            return  # no message: the vehicle is forgotten, and what it says again counts again
        match seen.topic:
            case "vehicle.raw":
                self._raw(seen.key, seen)
            case "vehicle.telemetry":
                self.normalized += 1
            case "vehicle.dead-letter":
                self.dead_lettered += seen.headers.get("source-topic", b"").endswith(RAW.encode())
            case "vehicle.alerts":
                alert = orjson.loads(seen.value or b"{}")
                self._alerts.setdefault(alert["id"], set()).add(alert["state"])
                self._last_state[alert["id"]] = alert["state"]
            case "vehicle.commands":
                self._requested.add(orjson.loads(seen.value or b"{}")["id"])
            case "vehicle.command-deliveries":
                delivery = orjson.loads(seen.value or b"{}")
                self._outcomes.setdefault(delivery["id"], set()).add(delivery["state"])
            case "vehicle.command-responses":
                self._response(seen.value)
            case "vehicle.geofence-events":
                self._geofence_events.add(orjson.loads(seen.value or b"{}")["id"])
            case "vehicle.aggregates":
                figures = orjson.loads(seen.value or b"{}")
                self._aggregates.add((figures["id"], figures["update"], figures["final"]))

    def _raw(self, key: bytes, seen: Seen) -> None:
        self.uplinked += 1
        publish_id = seen.headers.get(PUBLISH_ID)
        if publish_id is not None:
            if publish_id in self._publish_ids:
                self.redelivered += 1
            self._publish_ids.add(publish_id)
        document = _document(seen.value)
        if document is None or "ts" not in document:
            return  # a dead letter, however often it comes
        message = (key, document["ts"], document.get("seq"))
        if message in self._messages:
            self.duplicates += 1
        self._messages.add(message)

    def _response(self, value: bytes | None) -> None:
        self.responses += 1
        document = _document(value)
        if document is not None and document.get("status") == "acknowledged":
            self._acknowledged.add(str(document.get("id")))

    def outcome_counts(self) -> dict[str, int]:
        """How many commands ended how, each counted once."""
        counts = dict.fromkeys(_BEST_FIRST, 0)
        for states in self._outcomes.values():
            best = next((state for state in _BEST_FIRST if state in states), None)
            if best is not None:
                counts[best] += 1
        return counts

    def summary(self, *, published: int, latency_ms: Mapping[str, float | None]) -> dict[str, object]:
        """Return the one object that the demo prints."""
        outcomes = self.outcome_counts()
        return {
            "published": published,
            "redelivered": self.redelivered,
            "uplinked": self.uplinked,
            "normalized": self.normalized,
            "duplicates": self.duplicates,
            "dead_lettered": self.dead_lettered,
            "alerts_fired": sum("firing" in states for states in self._alerts.values()),
            "alerts_resolved": sum("resolved" in states for states in self._alerts.values()),
            "alerts_firing": sum(state == "firing" for state in self._last_state.values()),
            "commands_requested": len(self._requested),
            "commands_published": outcomes["published"],
            "commands_expired": outcomes["expired"],
            "commands_undeliverable": outcomes["undeliverable"],
            "commands_acknowledged": len(self._acknowledged),
            "geofence_events": self.geofence_events,
            "aggregates": self.aggregates,
            "latency_ms": {"p50": latency_ms.get("p50"), "p99": latency_ms.get("p99")},
        }


def _document(value: bytes | None) -> dict[str, object] | None:
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def broken_identities(summary: Mapping[str, object]) -> list[str]:
    """Return a sentence for each identity that does not hold; none is how it should be."""

    def number(key: str) -> int:
        value = summary[key]
        assert isinstance(value, int)
        return value

    broken = []
    for left, plus, minus in IDENTITIES:
        right = sum(map(number, plus)) - sum(map(number, minus))
        if number(left) != right:
            terms = " + ".join(f"{key} {number(key)}" for key in plus)
            terms += "".join(f" − {key} {number(key)}" for key in minus)
            broken.append(f"{left} is {number(left)}, but {terms} = {right}")
    return broken
