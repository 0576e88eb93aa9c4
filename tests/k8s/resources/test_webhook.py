"""The webhook behind a real API server: refused at `kubectl apply`, trusted by itself, never in the way."""

import base64
import contextlib
import json
import ssl
import urllib.request
from collections.abc import Iterator
from itertools import count
from typing import Any

import psutil
import pytest

from tests.controlplane.client import ApiFailure, wait_until
from tests.controlplane.cluster import ToolFailure
from tests.k8s.resources.conftest import PLURALS, Rules
from tests.k8s.resources.operating import Operating

pytestmark = pytest.mark.integration

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


def configuration(name: str, namespace: str, url: str) -> dict[str, Any]:
    """As the chart has it, but that it leads to a port of this machine."""
    webhook = {
        "name": "rules.telltale.dev",
        "clientConfig": {"url": url},
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 10,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [
            {
                "apiGroups": ["telltale.dev"],
                "apiVersions": ["v1alpha1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": sorted(PLURALS.values()),
            }
        ],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook],
    }


@contextlib.contextmanager
def webhook(rules: Rules, **settings: str) -> Iterator[tuple[Operating, str]]:
    """An operator with a webhook that the API server trusts and asks; and its address."""
    name = f"telltale-{rules.namespace}"
    operator = rules.operator(
        TELLTALE_RESOURCES_WEBHOOK_ENABLED="true",
        TELLTALE_RESOURCES_WEBHOOK_PORT="0",
        TELLTALE_RESOURCES_WEBHOOK_HOST="127.0.0.1",
        TELLTALE_RESOURCES_WEBHOOK_NAMES="127.0.0.1",
        TELLTALE_RESOURCES_WEBHOOK_CONFIGURATION=name,
        **settings,
    )
    client, path = rules.cluster.client, f"{CONFIGURATIONS}/{name}"
    # The operator looks for the configuration when it starts: it is there before, and learns the port after.
    client.create(CONFIGURATIONS, configuration(name, rules.namespace, "https://127.0.0.1:1/validate"))
    try:
        with operator:
            url = f"https://127.0.0.1:{operator.wait_said('The webhook listens')['port']}/validate"
            wait_until(lambda: client.get(path)["webhooks"][0]["clientConfig"].get("caBundle"))
            fresh = configuration(name, rules.namespace, url)
            client.apply(path, fresh, manager="chart")
            yield operator, url
    finally:
        client.delete(path)


def refused(rules: Rules, kind: str, name: str, spec: Any) -> str:
    """What kubectl says of a refused resource."""
    body = {"apiVersion": "telltale.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    tries = count()

    def there() -> str | None:
        # What was let in unjudged is not judged when it comes again as it is.
        body["metadata"]["labels"] = {"try": str(next(tries))}
        try:
            rules.cluster.kubectl("apply", "-n", rules.namespace, "-f", "-", stdin=json.dumps(body))
        except ToolFailure as failure:
            return failure.said
        return None

    # The API server sees a new configuration a moment later.
    return wait_until(there, within=30, every=0.5, saying=f"{kind} {name} is refused")


def judges(operator: int) -> list[psutil.Process]:
    return [it for it in psutil.Process(operator).children() if "spawn_main" in " ".join(it.cmdline())]


def test_a_wrong_rule_is_refused_at_apply_with_all_its_findings_and_a_right_one_runs(rules: Rules) -> None:
    rules.catalog()
    with webhook(rules) as (operator, url):
        said = refused(rules, "AlertRule", "fast", {"when": "sped > 100", "clearWhen": "speed < 'x'"})
        assert "error[TT101] spec.when: undeclared signal 'sped'" in said
        assert "did you mean 'speed'?" in said
        assert "spec.clearWhen" in said
        words = ["apply", "-n", rules.namespace, "-f", "-"]
        head = {"apiVersion": "telltale.dev/v1alpha1", "kind": "AlertRule", "metadata": {"name": "fast"}}
        rules.cluster.kubectl(*words, stdin=json.dumps({**head, "spec": {"when": "speed > 100"}}))
        rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast")

        # A judge that dies is replaced.
        (judge,) = judges(operator.pid)
        judge.kill()
        assert "TT101" in refused(rules, "AlertRule", "fast", {"when": "sped > 1"})

        # Nothing that is no review ends the webhook, and it speaks TLS alone.
        tls = ssl._create_unverified_context()
        for body in (
            b"",
            b"{",
            b"[" * 100_000,
            b"null",
            b'{"apiVersion": "admission.k8s.io/v1"}',
            b"\xff" * 100,
        ):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(urllib.request.Request(url, body), context=tls, timeout=10)
        with pytest.raises(urllib.error.HTTPError, match="413"):
            urllib.request.urlopen(urllib.request.Request(url, b"x" * (17 << 20)), context=tls, timeout=30)
        assert "TT101" in refused(rules, "AlertRule", "fast", {"when": "sped > 1"})

        secret = rules.cluster.client.get(
            f"/api/v1/namespaces/{rules.namespace}/secrets/telltale-operator-webhook"
        )
        key = base64.b64decode(secret["data"]["tls.key"]).decode()
        assert key.splitlines()[1] not in operator.log.read_text()
        (judge,) = judges(operator.pid)
    wait_until(lambda: not judge.is_running(), within=10, saying="the judge ends with an operator's kill -9")
    rules.apply("AlertRule", "unjudged", {"when": "sped > 1"})


def test_what_is_not_judged_in_time_is_let_in_and_the_status_tells(rules: Rules) -> None:
    rules.catalog()
    with webhook(rules, TELLTALE_RESOURCES_WEBHOOK_TIMEOUT="1ms"):
        body = {"apiVersion": "telltale.dev/v1alpha1", "kind": "AlertRule", "metadata": {"name": "fast"}}
        with contextlib.suppress(ApiFailure):
            rules.cluster.client.create(rules.path("AlertRule"), {**body, "spec": {"when": "sped > 1"}})
        status = rules.wait_condition("Accepted", "False", "Invalid", "AlertRule", "fast")
        assert status["errors"][0]["hint"] == "did you mean 'speed'?"


def test_an_operator_that_writes_no_rules_says_so(rules: Rules) -> None:
    with webhook(rules, TELLTALE_RESOURCES_ENABLED="false") as (_, url):
        spec = {"timestamp": {"path": "ts"}, "signals": {}}
        catalog = {"kind": "SignalCatalog", "metadata": {"name": "default"}, "spec": spec}
        review = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u1",
                "operation": "CREATE",
                "namespace": rules.namespace,
                "object": {"apiVersion": "telltale.dev/v1alpha1", **catalog},
            },
        }
        request = urllib.request.Request(url, json.dumps(review).encode())
        tls = ssl._create_unverified_context()
        with urllib.request.urlopen(request, context=tls, timeout=30) as answered:
            response = json.load(answered)["response"]
        assert response["allowed"]
        assert response["warnings"][0].startswith("nothing runs this: the operator knows no Kafka")
