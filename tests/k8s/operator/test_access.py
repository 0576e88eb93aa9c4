"""Who we are to the API server is read from a pod's files or a kubeconfig, and what is wrong is told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from k8s.access import of_kubeconfig, of_pod
from k8s.api import Api
from k8s.api_errors import Forbidden, Unavailable, error_of
from k8s.kinds import POD
from pipeline.process import ConfigurationError
from tests.controlplane.cluster import Cluster

GOOD: dict[str, Any] = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1/"}}],
    "users": [{"name": "u", "user": {"token": "secret"}}],
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"users": []}, "there is no user 'u'", id="no-user"),
        pytest.param({"current-context": "other"}, "there is no context 'other'", id="no-context"),
        pytest.param({"contexts": None}, "there is no context 'c'", id="no-contexts"),
        pytest.param(
            {"users": [{"name": "u", "user": {"exec": {}}}]}, "kubectl create token", id="a-program"
        ),
        pytest.param({"users": [{"name": "u", "user": {"client-key": "gone"}}]}, "gone", id="no-file"),
        pytest.param(
            {"users": [{"name": "u", "user": {"client-key-data": "?"}}]}, "not complete", id="no-base64"
        ),
        pytest.param({"clusters": [{"name": "k", "cluster": {}}]}, "'server'", id="no-server"),
        pytest.param({"clusters": 7}, "not complete", id="of-another-shape"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_is_told(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(ConfigurationError, match=told):
        of_kubeconfig(path)


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\x00"], ids=["empty", "open", "a-list", "rubbish"])
def test_what_is_no_kubeconfig_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="kubeconfig"):
        of_kubeconfig(path)


def test_a_pod_s_token_is_read_again_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    where = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    access = of_pod(tmp_path, where)
    assert access.server == "https://[fd00::1]:443"
    assert access.token() == "first"
    (tmp_path / "token").write_text("second\n")
    assert access.token() == "first"
    access.reread_s = 0.0
    assert access.token() == "second"
    assert "second" not in repr(access)
    with pytest.raises(ConfigurationError, match="this is no pod"):
        of_pod(tmp_path / "elsewhere", where)
    with pytest.raises(ConfigurationError, match="TELLTALE_OPERATOR_KUBECONFIG"):
        of_pod(tmp_path, {})


def test_a_list_has_all_pages_and_a_stranger_is_refused(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    for number in range(3):
        pod = {"metadata": {"name": f"p{number}"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        control_plane.client.create(f"/api/v1/namespaces/{namespace}/pods", pod)

    async def ask() -> None:
        async with Api.connect(control_plane.admin) as api:
            listed = await api.list(POD, namespace, page=2)
            assert [pod["metadata"]["name"] for pod in listed.items] == ["p0", "p1", "p2"]
            assert all(pod["kind"] == "Pod" for pod in listed.items)
            assert "apps/v1/deployments" in await api.served()
        control_plane.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "stranger"}},
            namespace=namespace,
        )
        stranger = control_plane.account(namespace, "stranger", tmp_path / "stranger")
        async with Api.connect(stranger) as api:
            with pytest.raises(Forbidden, match="cannot list"):
                await api.list(POD, namespace)

    asyncio.run(ask())


def test_nobody_at_home_is_a_reason_to_try_again(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(GOOD))

    async def ask() -> None:
        async with Api.connect(path, timeout_s=2.0) as api:
            await api.version()

    with pytest.raises(Unavailable, match="does not answer"):
        asyncio.run(ask())
    assert Unavailable.again


@pytest.mark.parametrize(
    ("code", "reason", "message", "again"),
    [
        pytest.param(409, "Conflict", "changed", True, id="a-conflict"),
        pytest.param(409, "AlreadyExists", "there", False, id="it-exists"),
        pytest.param(422, "Invalid", "wrong", False, id="invalid"),
        pytest.param(429, "TooManyRequests", "later", True, id="too-many"),
        pytest.param(503, "ServiceUnavailable", "down", True, id="down"),
        pytest.param(403, "Forbidden", "no right", True, id="no-right"),
        pytest.param(403, "Forbidden", "namespace x is being terminated", False, id="a-namespace-that-ends"),
        pytest.param(500, "", "failed to create typed patch object (x)", False, id="a-field-that-is-none"),
        pytest.param(500, "InternalError", "etcd", True, id="internal"),
    ],
)
def test_an_error_says_whether_to_try_again(code: int, reason: str, message: str, again: bool) -> None:
    error = error_of(code, {"reason": reason, "message": message})
    assert (error.again, error.code, str(error)) == (again, code, message)
    assert error_of(code, "").code == code
