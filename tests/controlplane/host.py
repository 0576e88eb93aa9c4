"""The parent of a cluster's components: starts them, starts again what ends, and goes when its owner goes.

`python -m tests.controlplane.host DIRECTORY OWNER-PID`. A process of its own, so that the workers of one
test run share a cluster that outlives the first of them: the owner is the run. Each component dies with
this process (PR_SET_PDEATHSIG), however it dies. While DIRECTORY/NAME.down exists, NAME is kept down.
The end of the start is told by a file: `ready`, or `failed` with the reason.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.controlplane.build import programs
from tests.controlplane.client import ApiFailure, Client
from tests.controlplane.components import SIMULATED_NODES, Ports, commands, lay_out

LOOK_EVERY_S = 0.1
START_WITHIN_S = 120
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Host:
    """The components of one cluster, running."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.ended: dict[str, float] = {}

    def start(self) -> None:
        """From nothing to nodes that are ready."""
        binaries = programs()
        ports = lay_out(self.directory)
        self.commands = {
            name: [str(binaries / name), *words] for name, words in commands(self.directory, ports).items()
        }
        self.run("etcd")
        self.run("kube-apiserver")
        client = self.wait_for_api(ports)
        for name in self.commands:
            if name not in self.running:
                self.run(name)
        for index, name in enumerate(SIMULATED_NODES):
            client.create("/api/v1/nodes", _simulated_node(name, zone=f"zone-{'abc'[index]}"))
        self.wait_for_nodes(client)

    def run(self, name: str) -> None:
        """Start a component; its log goes on where it was."""
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.commands[name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                preexec_fn=_die_with_parent,
            )
        self.running[name] = process
        pids = {name: process.pid for name, process in self.running.items()}
        temporary = self.directory / "pids.json.new"
        temporary.write_text(json.dumps(pids))
        temporary.replace(self.directory / "pids.json")

    def wait_for_api(self, ports: Ports) -> Client:
        client = Client.of_kubeconfig(self.directory / "admin.kubeconfig")
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            self.fail_if_ended()
            with contextlib.suppress(OSError, ApiFailure):
                client.text("/readyz")
                # The system's own roles and namespaces are there.
                client.get("/api/v1/namespaces/default")
                return client
            if time.monotonic() > deadline:
                raise TimeoutError(f"the API server is not ready after {START_WITHIN_S} s")
            time.sleep(LOOK_EVERY_S)

    def wait_for_nodes(self, client: Client) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            self.fail_if_ended()
            nodes = client.get("/api/v1/nodes")["items"]
            account = client.find("/api/v1/namespaces/default/serviceaccounts/default")
            if account and all(_is_ready(node) for node in nodes):
                return
            time.sleep(LOOK_EVERY_S)
        raise TimeoutError(f"the nodes are not ready after {START_WITHIN_S} s")

    def fail_if_ended(self) -> None:
        for name, process in self.running.items():
            if process.poll() is not None:
                lines = (self.directory / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
                raise RuntimeError(f"{name} ended with {process.returncode}:\n" + "\n".join(lines))

    def look(self) -> None:
        """Start again what has ended, unless it is to stay down; end what is to be down."""
        for name, process in list(self.running.items()):
            down = (self.directory / f"{name}.down").exists()
            if process.poll() is None:
                if down:
                    process.kill()
            elif not down and time.monotonic() - self.ended.get(name, 0.0) > 1:
                self.ended[name] = time.monotonic()
                self.run(name)

    def stop(self) -> None:
        """Kill everything: nothing here is worth a good-bye."""
        for process in reversed(self.running.values()):
            process.kill()
        for process in self.running.values():
            process.wait()


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _is_ready(node: dict[str, object]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])  # type: ignore[attr-defined]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _simulated_node(name: str, zone: str) -> dict[str, object]:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": zone,
        "telltale.dev/kubelet": "simulated",
    }
    annotations = {"kwok.x-k8s.io/node": "fake"}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def main() -> int:
    """Start, tell, and look after everything until the owner is gone or SIGTERM comes."""
    directory, owner = Path(sys.argv[1]), os.pidfd_open(int(sys.argv[2]))
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    host = Host(directory)
    try:
        try:
            host.start()
        except Exception as error:
            (directory / "failed").write_text(f"{type(error).__name__}: {error}")
            return 1
        (directory / "ready").touch()
        while not asked:
            readable, _, _ = select.select([owner], [], [], LOOK_EVERY_S)
            if readable:
                break
            host.look()
    finally:
        host.stop()
        if not (directory / "failed").exists():
            shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
