"""The command line of each component, and the files that it reads: nothing here starts anything."""

import json
from pathlib import Path
from typing import NamedTuple

from bridges.embedded.program import HOST, choose_port
from tests.controlplane.certificates import USERS, pair, write_all

SIMULATED_NODES = ("simulated-1", "simulated-2")
SERVICE_ADDRESSES = "10.96.0.0/16"


class Ports(NamedTuple):
    """Where the cluster listens."""

    api: int
    etcd: int
    etcd_peer: int
    kwok: int


def lay_out(directory: Path) -> Ports:
    """Write every file that the components read, and choose the ports."""
    ports = Ports(*(choose_port(0) for _ in Ports._fields))
    write_all(directory / "pki", HOST)
    (directory / "ports.json").write_text(json.dumps(ports._asdict()))
    for user in USERS:
        client = pair(directory / "pki", user)
        credentials = {"client-certificate": str(client.certificate), "client-key": str(client.key)}
        to = directory / f"{user.replace(':', '-')}.kubeconfig"
        to.write_text(kubeconfig(directory, ports, credentials))
    (directory / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
    stages = (Path(__file__).parent / "stages.yaml").read_text()
    (directory / "kwok.yaml").write_text(stages)
    return ports


def kubeconfig(directory: Path, ports: Ports, credentials: dict[str, str]) -> str:
    """A kubeconfig (JSON, which is YAML) for whoever holds these credentials."""
    cluster = {
        "server": f"https://{HOST}:{ports.api}",
        "certificate-authority": str(directory / "pki" / "ca.crt"),
    }
    context = {"cluster": "telltale", "user": "user", "namespace": "default"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "telltale", "cluster": cluster}],
            "users": [{"name": "user", "user": credentials}],
            "contexts": [{"name": "telltale", "context": context}],
            "current-context": "telltale",
        }
    )


AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": ["system:apiserver", *(user for user in USERS if user != "admin")]},
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata"},
    ],
}


def commands(directory: Path, ports: Ports) -> dict[str, list[str]]:
    """The arguments of each component in the order of starting; the last three need a ready API server."""
    pki = directory / "pki"
    server, front = pair(pki, "server"), pair(pki, "front-proxy")
    etcd = f"http://{HOST}:{ports.etcd}"
    peer = f"http://{HOST}:{ports.etcd_peer}"
    return {
        "etcd": [
            f"--data-dir={directory / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            "--quota-backend-bytes=1073741824",
        ],
        "kube-apiserver": [
            f"--etcd-servers={etcd}",
            f"--secure-port={ports.api}",
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            f"--tls-cert-file={server.certificate}",
            f"--tls-private-key-file={server.key}",
            f"--client-ca-file={pki / 'ca.crt'}",
            "--authorization-mode=RBAC",
            # By annotations of its namespace a pod goes to a kubelet that runs it, else to a simulated node.
            "--enable-admission-plugins=PodNodeSelector,PodTolerationRestriction",
            f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
            f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
            f"--service-account-key-file={pki / 'service-accounts.pub'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--api-audiences=https://kubernetes.default.svc",
            f"--proxy-client-cert-file={front.certificate}",
            f"--proxy-client-key-file={front.key}",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            # No kube-proxy: webhooks and aggregated servers are reached at a ready pod's own address.
            "--enable-aggregator-routing=true",
            # The API server's own endpoint is not routable, and nobody asks for it.
            "--endpoint-reconciler-type=none",
            f"--audit-policy-file={directory / 'audit-policy.json'}",
            f"--audit-log-path={directory / 'audit.log'}",
            "--max-requests-inflight=1000",
            "--max-mutating-requests-inflight=500",
            "--shutdown-delay-duration=0s",
        ],
        "kube-controller-manager": [
            f"--kubeconfig={directory / 'system-kube-controller-manager.kubeconfig'}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            f"--service-account-private-key-file={pki / 'service-accounts.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            "--use-service-account-credentials=true",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--horizontal-pod-autoscaler-sync-period=2s",
            "--node-monitor-grace-period=20s",
        ],
        "kube-scheduler": [
            f"--kubeconfig={directory / 'system-kube-scheduler.kubeconfig'}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ],
        "kwok": [
            f"--kubeconfig={directory / 'kwok.kubeconfig'}",
            f"--config={directory / 'kwok.yaml'}",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            f"--server-address={HOST}:{ports.kwok}",
            "--node-lease-duration-seconds=40",
            "--cidr=198.51.100.0/24",
        ],
    }
