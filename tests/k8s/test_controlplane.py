"""The control plane that the other tests stand on is a real one, and the kubelet runs what it is told."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.controlplane.client import ApiFailure, Client, Object, wait_until
from tests.controlplane.cluster import Cluster, ToolFailure, secret
from tests.controlplane.kubelet import ProcessKubelet
from tests.controlplane.pods import Image

SERVER = """
import http.server, os, pathlib, signal, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ill = pathlib.Path("/scratch/ill").exists()
        self.send_response(503 if ill and self.path == "/healthz" else 200)
        self.end_headers()
        self.wfile.write(os.environ["GREETING"].encode())
    def do_POST(self):
        pathlib.Path("/scratch/ill").touch()
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
def bye(*_):
    print("drained", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("up", os.environ["HOSTNAME"], flush=True)
http.server.ThreadingHTTPServer((os.environ["TELLTALE_HTTP_HOST"], 8080), Answer).serve_forever()
"""


def deployment(name: str, image: str, *, replicas: int = 1, **container: object) -> Object:
    labels = {"app": name}
    one = {"name": "main", "image": image} | container
    template = {"metadata": {"labels": labels}, "spec": {"containers": [one]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def pods(cluster: Cluster, namespace: str, selector: str = "") -> list[Object]:
    return cluster.client.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)


def state_of(pod: Object) -> Object:
    statuses = pod.get("status", {}).get("containerStatuses") or [{"state": {}}]
    return statuses[0]["state"]


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


# The control plane.


def test_deployment_becomes_available_on_simulated_nodes(control_plane: Cluster, namespace: str) -> None:
    control_plane.apply(deployment("web", "example/web:1", replicas=2), namespace=namespace)
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")
    assert {pod["spec"]["nodeName"] for pod in pods(control_plane, namespace)} <= {
        "simulated-1",
        "simulated-2",
    }


def test_image_tagged_bad_is_never_pulled_and_a_good_edit_gets_out_of_it(
    control_plane: Cluster, namespace: str
) -> None:
    control_plane.apply(deployment("web", "example/web:bad-1"), namespace=namespace)
    pod = wait_until(lambda: next((one for one in pods(control_plane, namespace) if state_of(one)), None))
    assert state_of(pod)["waiting"]["reason"] == "ImagePullBackOff"
    control_plane.apply(deployment("web", "example/web:2"), namespace=namespace)
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")


def test_account_without_a_role_is_refused_and_with_one_is_not(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    control_plane.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}}, namespace=namespace
    )
    reader = Client.of_kubeconfig(control_plane.account(namespace, "reader", tmp_path / "kubeconfig"))
    with pytest.raises(ApiFailure) as refused:
        reader.list(f"/api/v1/namespaces/{namespace}/configmaps")
    assert (refused.value.code, refused.value.reason) == (403, "Forbidden")
    control_plane.kubectl("create", "role", "reads", "--verb=list", "--resource=configmaps", "-n", namespace)
    control_plane.kubectl(
        "create", "rolebinding", "reads", "--role=reads", f"--serviceaccount={namespace}:reader",
        "-n", namespace,
    )  # fmt: skip

    def may_read() -> list[Object]:
        try:
            return reader.list(f"/api/v1/namespaces/{namespace}/configmaps")
        except ApiFailure:
            return []

    assert [one["metadata"]["name"] for one in wait_until(may_read)] == ["kube-root-ca.crt"]
    with pytest.raises(ToolFailure, match="forbidden"):
        control_plane.kubectl(
            "delete", "configmap", "--all", "-n", namespace, kubeconfig=tmp_path / "kubeconfig"
        )


def test_custom_resource_is_refused_by_its_cel_rule(control_plane: Cluster, namespace: str) -> None:
    group = f"{namespace}.test"
    rule = {"rule": "self.least <= self.most", "message": "least is more than most"}
    number = {"type": "integer"}
    spec = {
        "type": "object",
        "properties": {"least": number, "most": number},
        "x-kubernetes-validations": [rule],
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    names = {"plural": "ranges", "singular": "range", "kind": "Range"}
    control_plane.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"ranges.{group}"},
            "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
        }
    )
    try:
        control_plane.kubectl("wait", "--for=condition=Established", f"crd/ranges.{group}", "--timeout=60s")
        kind = {"apiVersion": f"{group}/v1", "kind": "Range", "metadata": {"name": "one"}}
        path = f"/apis/{group}/v1/namespaces/{namespace}/ranges"
        wait_until(lambda: control_plane.client.find(path) is not None)
        with pytest.raises(ApiFailure, match="least is more than most"):
            control_plane.client.create(path, kind | {"spec": {"least": 2, "most": 1}})
        control_plane.client.create(path, kind | {"spec": {"least": 1, "most": 2}})
    finally:
        control_plane.kubectl("delete", f"crd/ranges.{group}", "--wait=false")


def test_calls_are_counted_by_who_made_them(control_plane: Cluster, namespace: str) -> None:
    mark = control_plane.mark()
    control_plane.kubectl("get", "pods", "-n", namespace)

    def seen() -> list[str]:
        return [
            call.verb
            for call in control_plane.calls(mark, user="admin", agent="kubectl")
            if (call.namespace, call.resource) == (namespace, "pods")
        ]

    assert wait_until(seen) == ["list"]


def test_api_server_goes_and_comes_and_stops_answering_as_told() -> None:
    with Cluster.started() as cluster:
        with cluster.down(), pytest.raises(ConnectionRefusedError):
            cluster.client.get("/api/v1/nodes")
        assert len(cluster.client.list("/api/v1/nodes")) == 2
        with cluster.paused(), pytest.raises(ToolFailure):
            cluster.kubectl("get", "nodes", "--request-timeout=1s")
        cluster.restart("etcd")
        assert len(cluster.client.list("/api/v1/nodes")) == 2
        pid, directory = cluster.pid("kube-apiserver"), cluster.directory
    assert not Path(f"/proc/{pid}").exists()
    assert not directory.exists()


# The kubelet.


def test_process_is_run_with_environment_files_user_and_probes(
    control_plane: Cluster, process_node: ProcessKubelet, process_namespace: str
) -> None:
    checks = [
        "id -u; hostname",
        'echo "$FROM_MAP $FROM_SECRET $COMPOSED $WHERE $MISSING."',
        "cat /etc/telltale/rules/speed.yaml /var/run/keys/password",
        "touch /etc/x /etc/telltale/rules/x 2>/dev/null || echo read-only",
        "touch /scratch/x && echo scratch",
        "test -s /var/run/secrets/kubernetes.io/serviceaccount/token && echo token",
        "telltale --help > /scratch/help && grep -c Usage /scratch/help",
        "touch /scratch/done; sleep 60",
    ]
    container = {
        "name": "main",
        "image": "example/any:1",
        "command": ["sh", "-c", "\n".join(checks)],
        "env": [
            {"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": {"name": "rules", "key": "colour"}}},
            {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
            {"name": "COMPOSED", "value": "<$(FROM_MAP)>$$(FROM_MAP)"},
            {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {
                "name": "MISSING",
                "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}},
            },
        ],
        "securityContext": {"readOnlyRootFilesystem": True, "runAsNonRoot": True},
        "volumeMounts": [
            {"name": "rules", "mountPath": "/etc/telltale/rules", "readOnly": True},
            {"name": "keys", "mountPath": "/var/run/keys"},
            {"name": "scratch", "mountPath": "/scratch"},
        ],
        "readinessProbe": {"exec": {"command": ["test", "-e", "/scratch/done"]}, "periodSeconds": 1},
    }
    volumes = [
        {
            "name": "rules",
            "configMap": {"name": "rules", "items": [{"key": "rule", "path": "speed.yaml"}]},
        },
        {"name": "keys", "secret": {"secretName": "keys"}},
        {"name": "scratch", "emptyDir": {}},
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one"},
        "spec": {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1},
    }
    control_plane.apply(pod, namespace=process_namespace)

    def reason() -> str:
        return "".join(
            state_of(one).get("waiting", {}).get("reason", "")
            for one in pods(control_plane, process_namespace)
        )

    wait_until(lambda: reason() == "CreateContainerConfigError")
    control_plane.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "rules"},
            "data": {"colour": "red", "rule": "speed > 120\n"},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "keys"},
            "data": secret({"password": "hush"}),
        },
        namespace=process_namespace,
    )
    control_plane.kubectl(
        "wait", "pod/one", "-n", process_namespace, "--for=condition=Ready", "--timeout=60s"
    )
    assert process_node.log(process_namespace, "one", "main").splitlines() == [
        "65532",
        "one",
        f"red hush <red>$(FROM_MAP) {process_namespace} .",
        "speed > 120",
        "hushread-only",
        "scratch",
        "token",
        "1",
    ]
    assert not Path("/etc/telltale").exists(), "nothing is left on the machine"


def test_rolling_update_replaces_processes_and_drains_the_old_ones(
    control_plane: Cluster, process_node: ProcessKubelet, process_namespace: str
) -> None:
    process_node.images["2"] = Image(environment={"GREETING": "second"})
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1}
    body = deployment(
        "web",
        "example/web:1",
        replicas=2,
        command=["python", "-c", SERVER],
        ports=[{"name": "http", "containerPort": 8080}],
        readinessProbe=probe,
        livenessProbe=probe | {"failureThreshold": 1, "initialDelaySeconds": 2},
        volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}],
    )
    body["spec"]["template"]["spec"]["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    process_node.images["1"] = Image(environment={"GREETING": "first"})
    control_plane.apply(body, service, namespace=process_namespace)
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", process_namespace, "--timeout=60s")

    def addresses(other_than: Sequence[str] = ()) -> set[str]:
        """Of two ready pods with other names: an address of one that has gone may be another's."""
        slices = control_plane.client.list(
            f"/apis/discovery.k8s.io/v1/namespaces/{process_namespace}/endpointslices"
        )
        found = {
            address
            for one in slices
            for end in one["endpoints"]
            if end["conditions"]["ready"] and end["targetRef"]["name"] not in other_than
            for address in end["addresses"]
        }
        return found if len(found) == 2 else set()

    first = wait_until(addresses)
    assert {_ask(f"http://{address}:8080/") for address in first} == {"first"}
    old = [pod["metadata"]["name"] for pod in pods(control_plane, process_namespace)]

    body["spec"]["template"]["spec"]["containers"][0]["image"] = "example/web:2"
    control_plane.apply(body, namespace=process_namespace)
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", process_namespace, "--timeout=60s")
    second = wait_until(lambda: addresses(old))
    assert {_ask(f"http://{address}:8080/") for address in second} == {"second"}
    wait_until(lambda: len(pods(control_plane, process_namespace)) == 2, saying="the old pods are gone")
    for name in old:
        assert process_node.log(process_namespace, name, "main").splitlines() == [f"up {name}", "drained"]

    # Ill by its own liveness: ended in order, and started again in place.
    ill = sorted(second)[0]
    urllib.request.urlopen(urllib.request.Request(f"http://{ill}:8080/", method="POST"), timeout=5).close()

    def restarted() -> bool:
        found = [pod for pod in pods(control_plane, process_namespace) if pod["status"]["podIP"] == ill]
        return found[0]["status"]["containerStatuses"][0]["restartCount"] >= 1

    wait_until(restarted)


def test_killed_process_is_started_again_and_one_that_always_fails_backs_off(
    control_plane: Cluster, process_node: ProcessKubelet, process_namespace: str
) -> None:
    control_plane.apply(
        deployment("sleeper", "example/any:1", command=["sleep", "600"]),
        deployment("failing", "example/any:1", command=["sh", "-c", "echo no; exit 3"]),
        deployment("missing", "example/any:bad", command=["sleep", "600"]),
        namespace=process_namespace,
    )

    def one(app: str) -> Object:
        return pods(control_plane, process_namespace, f"app={app}")[0]

    wait_until(lambda: len(pods(control_plane, process_namespace)) == 3)
    sleeper = wait_until(lambda: one("sleeper") if is_ready(one("sleeper")) else None)
    os.kill(process_node.pid(process_namespace, sleeper["metadata"]["name"], "main"), signal.SIGKILL)

    def counts(app: str) -> int:
        return int(one(app)["status"]["containerStatuses"][0]["restartCount"])

    wait_until(lambda: counts("sleeper") == 1 and is_ready(one("sleeper")))
    assert one("sleeper")["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137

    wait_until(lambda: counts("failing") >= 2)
    waiting = wait_until(lambda: state_of(one("failing")).get("waiting"))
    assert waiting["reason"] == "CrashLoopBackOff"
    last = one("failing")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (3, "Error")
    assert state_of(one("missing"))["waiting"]["reason"] == "ImagePullBackOff"


def test_job_runs_its_first_container_first_and_completes(
    control_plane: Cluster, process_node: ProcessKubelet, process_namespace: str
) -> None:
    shared = [{"name": "shared", "mountPath": "/shared"}]
    first = {
        "name": "first",
        "image": "example/any:1",
        "command": ["sh", "-c", "echo 41 > /shared/n"],
        "volumeMounts": shared,
    }
    main = {
        "name": "main",
        "image": "example/any:1",
        "command": ["sh", "-c"],
        "args": ["expr $(cat /shared/n) + 1"],
        "volumeMounts": shared,
    }
    spec = {
        "restartPolicy": "Never",
        "initContainers": [first],
        "containers": [main],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
    control_plane.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "sum"},
            "spec": {"template": {"spec": spec}},
        },
        namespace=process_namespace,
    )
    control_plane.kubectl(
        "wait", "job/sum", "-n", process_namespace, "--for=condition=Complete", "--timeout=60s"
    )
    (pod,) = pods(control_plane, process_namespace)
    assert pod["status"]["phase"] == "Succeeded"
    assert process_node.log(process_namespace, pod["metadata"]["name"], "main") == "42\n"


def test_process_that_ignores_sigterm_is_killed_when_its_grace_is_over(
    control_plane: Cluster, process_node: ProcessKubelet, process_namespace: str
) -> None:
    body = deployment(
        "stubborn", "example/any:1", command=["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
    )
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 2
    control_plane.apply(body, namespace=process_namespace)
    pod = wait_until(lambda: next(filter(is_ready, pods(control_plane, process_namespace)), None))
    pid = process_node.pid(process_namespace, pod["metadata"]["name"], "main")
    began = time.monotonic()
    control_plane.kubectl("delete", "deployment/stubborn", "-n", process_namespace, "--wait=false")
    wait_until(lambda: not pods(control_plane, process_namespace))
    assert 1.5 < time.monotonic() - began < 8
    assert not Path(f"/proc/{pid}").exists()


def test_server_tells_the_version_that_was_built(control_plane: Cluster) -> None:
    version = json.loads(control_plane.kubectl("version", "-o", "json"))["serverVersion"]
    assert version["gitVersion"] == "v1.37.2"


def _ask(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text
