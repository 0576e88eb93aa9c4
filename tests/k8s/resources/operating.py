"""The operator as a process of its own, under the rights that the chart grants and no others.

`python -m` this module is an operator that dies between a revision and the statuses that tell of it.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from k8s.operator.rights import admission_rules, cluster_rules, lease_rules
from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.programs import Program

RBAC = "rbac.authorization.k8s.io/v1"
SHORT_LEASE = {"LEASE_DURATION": "8s", "RENEW_DEADLINE": "6s", "RETRY_PERIOD": "300ms"}
"""Nobody starts an operator again that a busy machine has made lose its lead."""


class Operating:
    """A running operator; `start` again after a kill."""

    def __init__(self, folder: Path, environment: dict[str, str], *, dies: bool = False) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")}
        lease = {f"TELLTALE_OPERATOR_{key}": value for key, value in SHORT_LEASE.items()}
        self._environment = {
            **kept,
            **lease,
            "TELLTALE_HTTP_PORT": "0",
            "TELLTALE_LOG_FORMAT": "json",
            **environment,
        }
        self._folder = folder
        self._process: Program | subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._dies = dies

    def start(self) -> Self:
        """Start it."""
        self._starts += 1
        self.log = self._folder / f"operator-{self._starts}.log"
        self.log.write_bytes(b"")
        if self._dies:
            with self.log.open("wb") as log:
                command = [sys.executable, "-m", __name__]
                self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        else:
            self._process = Program("run", "operator", environment=self._environment, log=self.log)
        return self

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def end(self, number: signal.Signals = signal.SIGKILL) -> int | None:
        """Kill it, and wait for its end; the exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(number)
        return process.wait(30)

    def said(self) -> list[dict[str, Any]]:
        """Its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def wait_said(self, event: str) -> dict[str, Any]:
        """The first line of its log that begins so."""
        return wait_until(
            lambda: next(
                (it for it in self.said() if str(it.get("message", it.get("event"))).startswith(event)), None
            ),
            within=60,
            saying=f"the operator says {event!r}: {self.log.read_text()[-3000:]}",
        )


def account(cluster: Cluster, namespaces: list[str], to: Path, *, webhook: str = "telltale-rules") -> Path:
    """A kubeconfig of a ServiceAccount with the operator's rights in these namespaces, and no others."""
    home, *_ = namespaces
    everywhere, at_home = admission_rules(webhook, "telltale-operator-webhook")
    who = [{"kind": "ServiceAccount", "name": "operator", "namespace": home}]
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}}, namespace=home
    )
    for namespace in namespaces:
        rules = [*cluster_rules(), *([*lease_rules(), *at_home] if namespace == home else [])]
        role = {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": "operator"}, "rules": rules}
        binding = {
            "apiVersion": RBAC,
            "kind": "RoleBinding",
            "metadata": {"name": "operator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
            "subjects": who,
        }
        cluster.apply(role, binding, namespace=namespace)
    name = f"operator-{home}"
    role = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": everywhere}
    binding = {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": who,
    }
    cluster.apply(role, binding)
    return cluster.account(home, "operator", to)


def _die_after_writing() -> None:
    from k8s.resources.telling import Teller

    async def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    Teller._patch = die  # type: ignore[method-assign]


if __name__ == "__main__":
    from k8s.operator.process import process
    from pipeline.process.running import run

    _die_after_writing()
    sys.exit(run(process))
