"""The webhook behind a real API server: refused at `kubectl apply`, trusted by itself, never in the way."""

import base64
import contextlib
import json
import ssl
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme
import yaml

from k8s.operator.rights import admission_rules, resource_rules
from tests.controlplane.client import ApiFailure, wait_until
from tests.controlplane.cluster import ToolFailure
from tests.k8s.resources.conftest import PLURALS, Rules
from tests.k8s.resources.operating import Operating

pytestmark = pytest.mark.integration

EVERY_KIND = Path(__file__).parents[1] / "crds" / "documents" / "set.yaml"
SECRET = "telltale-operator-webhook"
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

        secret = rules.cluster.client.get(f"/api/v1/namespaces/{rules.namespace}/secrets/{SECRET}")
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


def test_it_has_the_rights_that_it_uses_and_uses_those_that_it_has(rules: Rules) -> None:
    cluster = rules.cluster
    mark = cluster.mark()
    webhook_rules, certificate_rules = admission_rules("", SECRET)
    with webhook(rules):
        documents = list(yaml.safe_load_all(EVERY_KIND.read_text()))
        assert {document["kind"] for document in documents} == set(PLURALS)
        for document in documents:
            metadata = dict(document["metadata"])
            rules.apply(document["kind"], metadata.pop("name"), document["spec"], **metadata)
        for document in documents:
            name = document["metadata"]["name"]
            rules.wait_condition("Accepted", "True", "Valid", document["kind"], name)
    spoiled = {"data": {"tls.crt": base64.b64encode(b"spoiled").decode()}}
    cluster.client.patch(f"/api/v1/namespaces/{rules.namespace}/secrets/{SECRET}", spoiled)
    with webhook(rules):
        assert "TT101" in refused(rules, "AlertRule", "wrong", {"when": "sped > 1"})
    calls = [
        call
        for call in cluster.calls(mark, user=f"system:serviceaccount:{rules.namespace}:")
        if call.resource
    ]
    assert [call for call in calls if call.code in (401, 403)] == []
    granted = {
        (verb, resource)
        for rule in [*resource_rules(), *webhook_rules, *certificate_rules]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted - {(call.verb, call.resource) for call in calls} == set()


def test_it_is_ready_once_the_webhook_listens(rules: Rules) -> None:
    files = (rules.here / "tls.crt", rules.here / "tls.key")
    operator = rules.operator(
        TELLTALE_RESOURCES_WEBHOOK_ENABLED="true",
        TELLTALE_RESOURCES_WEBHOOK_PORT="0",
        TELLTALE_RESOURCES_WEBHOOK_CERTIFICATE_FILE=str(files[0]),
        TELLTALE_RESOURCES_WEBHOOK_KEY_FILE=str(files[1]),
    )
    with operator:
        operator.wait_said("Leading")
        url = f"http://127.0.0.1:{operator.wait_said('Started operator')['http_port']}/readyz"
        with pytest.raises(urllib.error.HTTPError, match="503") as refusal:
            urllib.request.urlopen(url, timeout=10)
        assert "webhook" in refusal.value.read().decode()
        issued = trustme.CA().issue_cert("localhost")
        issued.private_key_pem.write_to_path(files[1])
        issued.cert_chain_pems[0].write_to_path(files[0])
        operator.wait_said("The webhook listens")
        assert urllib.request.urlopen(url, timeout=10).status == 200
