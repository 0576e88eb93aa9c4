"""Rules written as an author writes them, for tests that say one thing each."""

import json
from collections.abc import Sequence
from typing import Any

from rules import Diagnostic, Engine, Event, Outcome, RuleSet, Source, VehicleState, compile_rules, parse

SIGNALS: dict[str, Any] = {
    "Vehicle.Speed": {"alias": "speed", "staleAfter": "10m"},
    "Vehicle.Pressure": {"alias": "pressure", "staleAfter": "10m"},
    "Vehicle.Belt": {"alias": "belt", "type": "boolean"},
    "Vehicle.Gear": {"alias": "gear", "type": "string"},
}


def document(kind: str, name: str, spec: dict[str, Any]) -> str:
    return json.dumps(
        {"apiVersion": "telltale.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    )


def compiled(rules: dict[str, dict[str, Any]], revision: int = 1) -> RuleSet | list[Diagnostic]:
    """The rules by their names, against the catalog above."""
    catalog = document("SignalCatalog", "default", {"timestamp": {"path": "ts"}, "signals": SIGNALS})
    texts = [catalog, *(document("AlertRule", name, spec) for name, spec in rules.items())]
    return compile_rules(parse([Source("rules.yaml", "\n---\n".join(texts))]), revision)


def rule_set(rules: dict[str, dict[str, Any]], revision: int = 1) -> RuleSet:
    found = compiled(rules, revision)
    assert isinstance(found, RuleSet), "\n".join(finding.format() for finding in found)
    return found


class Drive:
    """One vehicle under some rules; instants in seconds, each message received half a second later."""

    def __init__(self, rules: RuleSet, vehicle_id: str = "v1") -> None:
        self.engine = Engine(rules)
        self.vehicle: VehicleState = self.engine.new_vehicle(vehicle_id)

    def say(
        self, second: int, *, delay: float = 0.5, place: Sequence[float] | None = None, **signals: object
    ) -> list[Outcome]:
        names = {str(spec["alias"]): name for name, spec in SIGNALS.items()}
        values = {names[alias]: value for alias, value in signals.items()}
        out: list[Outcome] = []
        position = None if place is None else tuple(place)
        event = Event(second * 1000, second * 1000 + int(delay * 1000), values, position)
        self.engine.process(self.vehicle, event, 0, out)
        return out

    def wait(self, seconds: int, received: int) -> list[Outcome]:
        out: list[Outcome] = []
        self.engine.advance(self.vehicle, seconds * 1000, received * 1000, out)
        return out
