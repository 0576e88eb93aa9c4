"""Namespaces are tenants: one name for two rules, and no way to another's vehicles, fences or words."""

import contextlib

import pytest

from rules import AlertRecord, Engine, Event, Outcome
from tests.controlplane.client import ApiFailure
from tests.k8s.resources.conftest import Rules

pytestmark = pytest.mark.integration

CIRCLE = {"circle": {"latitude": 1.0, "longitude": 2.0, "radiusMeters": 100}}


def fired(rules: Rules, vehicle_id: str, speed: float) -> set[str]:
    """The rules on telltale.rules that fire for a vehicle that says this."""
    log = rules.log()
    engine = Engine(log.rule_set(log.head))
    out: list[Outcome] = []
    engine.process(engine.new_vehicle(vehicle_id), Event(1_000, 1_000, {"Vehicle.Speed": speed}), 0, out)
    return {it.rule for it in out if isinstance(it, AlertRecord) and it.state == "firing"}


def test_two_tenants_have_a_rule_of_one_name_and_neither_reaches_the_other(
    rules: Rules, tenants: list[str]
) -> None:
    acme, umbra = tenants
    rules.catalog()
    with rules.operator():
        rules.apply("AlertRule", "everywhere", {"when": "speed > 200"})
        rules.apply("AlertRule", "fast", {"when": "speed > 100"}, acme)
        rules.apply("AlertRule", "fast", {"vehicles": "true || false", "when": "speed > 50"}, umbra)
        rules.apply("Geofence", "garage", CIRCLE, umbra)
        rules.apply("AlertRule", "home", {"when": 'inside("garage")'}, umbra)
        rules.apply("AlertRule", "spy", {"when": 'inside("garage")'}, acme)
        rules.apply("SignalCatalog", "mine", {"timestamp": {"path": "ts"}, "signals": {}}, acme)
        with contextlib.suppress(ApiFailure):  # either the CRD's pattern or the status says it
            rules.apply("AlertRule", f"{umbra}.sly", {"when": "speed > 1"}, acme)
        rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "home", umbra)
        status = rules.wait_condition("Accepted", "False", "Invalid", "AlertRule", "spy", acme)
        assert status["errors"][0]["code"] == "TT210"
        status = rules.wait_condition("Accepted", "False", "Invalid", "SignalCatalog", "mine", acme)
        assert status["errors"][0]["code"] == "TT217"
        assert {name for name in rules.documents() if name.startswith("AlertRule")} == {
            "AlertRule/everywhere",
            f"AlertRule/{acme}.fast",
            f"AlertRule/{umbra}.fast",
            f"AlertRule/{umbra}.home",
        }
        assert fired(rules, f"{acme}/v1", 150.0) == {f"{acme}.fast"}
        assert fired(rules, f"{umbra}/v1", 60.0) == {f"{umbra}.fast"}
        assert fired(rules, f"{umbra}/v1", 250.0) == {f"{umbra}.fast", "everywhere"}
        assert fired(rules, "v1", 250.0) == {"everywhere"}


def test_where_namespaces_are_no_tenants_the_older_of_two_has_the_name(
    rules: Rules, tenants: list[str]
) -> None:
    acme, umbra = tenants
    rules.catalog()
    rules.apply("AlertRule", "fast", {"when": "speed > 100"}, acme)
    created = rules.cluster.client.get(rules.path("AlertRule", "fast", acme))["metadata"]["creationTimestamp"]
    while True:  # creation times are whole seconds
        rules.apply("AlertRule", "fast", {"when": "speed > 50"}, umbra)
        path = rules.path("AlertRule", "fast", umbra)
        if rules.cluster.client.get(path)["metadata"]["creationTimestamp"] > created:
            break
        rules.delete("AlertRule", "fast", umbra)
    with rules.operator(TELLTALE_RESOURCES_TENANCY="none"):
        rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast", acme)
        rules.wait_condition("Accepted", "False", "NameTaken", "AlertRule", "fast", umbra)
        assert fired(rules, "v1", 60.0) == set()
        rules.delete("AlertRule", "fast", acme)
        rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast", umbra)
        assert fired(rules, "v1", 60.0) == {"fast"}
