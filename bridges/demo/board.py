"""What the view shows: the last things that happened, and who is firing now. A fold over the same records."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from bridges.demo.accounts import Seen

KEPT = 200
ARRIVALS_TOGETHER_S = 0.1
ANSWERS = ("acknowledged", "rejected")


@dataclass(slots=True)
class AlertLine:
    """One alert as it stands; `summary` is its annotation."""

    at: float
    alert_id: str
    rule: str
    vehicle_id: str
    state: str
    severity: str
    value: object
    summary: str
    reason: str | None
    raised: bool = False


@dataclass(slots=True)
class CommandLine:
    """One command and how far it has come: requested, published, expired, acknowledged."""

    at: float
    command_id: str
    name: str
    vehicle_id: str
    rule: str
    state: str = "requested"
    states: set[str] = field(default_factory=set)
    """All that it has been; each is counted once."""


@dataclass(slots=True)
class Board:
    """The latest news; `now` is the observer's clock (seconds, any origin)."""

    news: deque[AlertLine] = field(default_factory=lambda: deque(maxlen=KEPT))
    firing: dict[str, AlertLine] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    """By rule: alerts, visits of fences and windows."""
    resolved: Counter[str] = field(default_factory=Counter)
    vehicles: dict[str, set[str]] = field(default_factory=dict)
    commands: OrderedDict[str, CommandLine] = field(default_factory=OrderedDict)
    command_states: Counter[str] = field(default_factory=Counter)
    arrivals: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=KEPT))
    notes: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def alerts_fired(self) -> int:
        """Alerts alone, as the accounts count them."""
        return len(self.firing) + self.resolved.total()

    def note(self, now: float, sentence: str) -> None:
        """Something that the demo itself did or saw."""
        self.notes.append((now, sentence))

    def take(self, seen: Seen, now: float) -> None:
        """Post one record."""
        if seen.key is None:
            return
        match seen.topic:
            case "vehicle.raw":
                self._arrived(now)
            case "vehicle.alerts":
                self._alert(orjson.loads(seen.value or b"{}"), now)
            case "vehicle.geofence-events":
                self._visit(orjson.loads(seen.value or b"{}"), now)
            case "vehicle.aggregates":
                figures = orjson.loads(seen.value or b"{}")
                self.fired[figures["rule"]] += 1
                if figures.get("vehicleId"):
                    self.vehicles.setdefault(figures["rule"], set()).add(figures["vehicleId"])
            case "vehicle.commands":
                command = orjson.loads(seen.value or b"{}")
                line = CommandLine(
                    now, command["id"], command["name"], command["vehicleId"], command["cause"]["rule"]
                )
                if line.command_id not in self.commands:
                    self.commands[line.command_id] = line
                    self.command_states["requested"] += 1
            case "vehicle.command-deliveries":
                delivery = orjson.loads(seen.value or b"{}")
                self._command(delivery["id"], delivery["state"], now)
            case "vehicle.command-responses":
                try:
                    response = orjson.loads(seen.value or b"")
                except orjson.JSONDecodeError:
                    return
                self._command(str(response.get("id")), str(response.get("status")), now)

    def rate(self, now: float, over_s: float = 5.0) -> float:
        """Messages a second that reached Kafka lately."""
        return sum(count for at, count in self.arrivals if now - at <= over_s) / over_s

    def _arrived(self, now: float) -> None:
        if self.arrivals and now - self.arrivals[-1][0] < ARRIVALS_TOGETHER_S:
            self.arrivals[-1] = (self.arrivals[-1][0], self.arrivals[-1][1] + 1)
        else:
            self.arrivals.append((now, 1))

    def _alert(self, alert: Mapping[str, object], now: float) -> None:
        annotations = alert.get("annotations")
        summary = annotations.get("summary", "") if isinstance(annotations, Mapping) else ""
        line = AlertLine(
            now,
            str(alert["id"]),
            str(alert["rule"]),
            str(alert["vehicleId"]),
            str(alert["state"]),
            str(alert["severity"]),
            alert.get("value"),
            str(summary),
            None if alert.get("reason") is None else str(alert["reason"]),
            raised=str(alert["id"]) in self.firing,
        )
        self.news.append(line)
        self.vehicles.setdefault(line.rule, set()).add(line.vehicle_id)
        if line.state == "resolved":
            self.resolved[line.rule] += 1
            self.firing.pop(line.alert_id, None)
        else:
            self.fired[line.rule] += line.alert_id not in self.firing
            self.firing[line.alert_id] = line

    def _visit(self, event: Mapping[str, object], now: float) -> None:
        """A geofence event is news as an alert is; nothing goes on firing."""
        rule, vehicle_id = str(event["rule"]), str(event["vehicleId"])
        line = AlertLine(
            now,
            str(event["id"]),
            rule,
            vehicle_id,
            str(event["event"]),
            "info",
            None,
            str(event["fence"]),
            None,
        )
        self.news.append(line)
        self.fired[rule] += 1
        self.vehicles.setdefault(rule, set()).add(vehicle_id)

    def _command(self, command_id: str, state: str, now: float) -> None:
        line = self.commands.get(command_id)
        if line is None or state in line.states:
            return
        line.states.add(state)
        self.command_states[state] += 1
        if line.state not in ANSWERS:  # an answer may be read before the delivery that it answers
            line.state, line.at = state, now
            self.commands.move_to_end(command_id)
