"""A cluster as a test sees it: who may ask it, kubectl and helm, what was asked, and how to trouble it.

The components run under `host`, which several test processes may share; this is a view of its folder.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.controlplane.build import programs
from tests.controlplane.client import ApiFailure, Client, Object, wait_until
from tests.controlplane.components import Ports, kubeconfig

START_WITHIN_S = 150
ROOT = Path(__file__).parents[2]


class Call(NamedTuple):
    """One request that the API server answered, from its audit log."""

    user: str
    agent: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int


class Cluster:
    """A running cluster, by the folder of its host."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = Ports(**json.loads((directory / "ports.json").read_text()))
        self.client = Client.of_kubeconfig(self.admin)
        self._programs = programs()
        self._host: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Self]:
        """A cluster of one's own, stopped at the end: for a test that breaks it."""
        directory = Path(tempfile.mkdtemp(prefix="telltale-cluster-"))
        host = start_host(directory, owner=os.getpid())
        try:
            cluster = cls.joined(directory)
            cluster._host = host
            yield cluster
        finally:
            host.terminate()
            host.wait()
            shutil.rmtree(directory, ignore_errors=True)

    @classmethod
    def joined(cls, directory: Path) -> Self:
        """The cluster whose host starts, or has started, in this folder. Raises RuntimeError if it failed."""
        deadline = time.monotonic() + START_WITHIN_S
        while not (directory / "ready").exists():
            if (directory / "failed").exists():
                raise RuntimeError((directory / "failed").read_text())
            if time.monotonic() > deadline:
                raise RuntimeError(f"no cluster in {directory} after {START_WITHIN_S} s")
            time.sleep(0.05)
        return cls(directory)

    def wait(self) -> None:
        """Wait for Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            assert self._host is not None
            self._host.wait()

    # Who asks.

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.ports.api}"

    @property
    def authority(self) -> Path:
        return self.directory / "pki" / "ca.crt"

    @property
    def admin(self) -> Path:
        """The kubeconfig of somebody who may do everything."""
        return self.directory / "admin.kubeconfig"

    def account(self, namespace: str, name: str, to: Path) -> Path:
        """A kubeconfig at `to` for a ServiceAccount that exists, with a token of an hour."""
        token = self.token(namespace, name)
        to.write_text(kubeconfig(self.directory, self.ports, {"token": token}))
        return to

    def token(self, namespace: str, name: str, **spec: Any) -> str:
        """A token of a ServiceAccount, as TokenRequest gives it."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return self.client.create(path, request)["status"]["token"]

    # The usual tools.

    def kubectl(self, *words: str | Path, stdin: str | None = None, **how: Any) -> str:
        """What kubectl printed; ToolFailure, with what it said, where it failed."""
        return self.tool("kubectl", words, stdin, **how)

    def helm(self, *words: str | Path, stdin: str | None = None, **how: Any) -> str:
        """What helm printed; ToolFailure, with what it said, where it failed."""
        return self.tool("helm", words, stdin, **how)

    def apply(self, *documents: Object, namespace: str | None = None) -> str:
        """kubectl apply of documents."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        where = ["--namespace", namespace] if namespace else []
        return self.kubectl("apply", *where, "-f", "-", stdin=json.dumps(bundle))

    def tool(
        self, name: str, words: Sequence[str | Path], stdin: str | None, kubeconfig: Path | None = None
    ) -> str:
        home = self.directory / "home"
        environment = os.environ | {"KUBECONFIG": str(kubeconfig or self.admin), "HOME": str(home)}
        command = [self._programs / name, *words]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=environment, check=False
        )
        if done.returncode != 0:
            raise ToolFailure(f"{name} {' '.join(map(str, words))}", done.returncode, done.stderr)
        return done.stdout

    # What was asked.

    def mark(self) -> int:
        """A place in the audit log, for `calls` later."""
        return (self.directory / "audit.log").stat().st_size

    def calls(self, since: int = 0, *, user: str = "", agent: str = "") -> list[Call]:
        """Requests since a mark whose user and user agent begin so; watches are told when they end too."""
        found = []
        with (self.directory / "audit.log").open("rb") as log:
            log.seek(since)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                said = json.loads(line)
                which = said.get("objectRef", {})
                call = Call(
                    said["user"].get("username", ""),
                    said.get("userAgent", ""),
                    said["verb"],
                    "/".join(filter(None, (which.get("resource"), which.get("subresource")))),
                    which.get("namespace", ""),
                    which.get("name", ""),
                    said.get("responseStatus", {}).get("code", 0),
                )
                ended = said["stage"] != "ResponseStarted"
                if ended and call.user.startswith(user) and call.agent.startswith(agent):
                    found.append(call)
        return found

    # How to trouble it: on a cluster of one's own.

    def pid(self, component: str) -> int:
        return json.loads((self.directory / "pids.json").read_text())[component]

    @contextlib.contextmanager
    def down(self, component: str = "kube-apiserver") -> Iterator[None]:
        """Without a component for a while; at the end it is started again, and the API server waited for."""
        flag, before = self.directory / f"{component}.down", self.pid(component)
        flag.touch()
        wait_until(lambda: not Path(f"/proc/{before}").exists(), saying=f"{component} is down")
        try:
            yield
        finally:
            flag.unlink()
            wait_until(lambda: self.pid(component) != before, saying=f"{component} is started again")
            self.wait_for_api()

    def restart(self, component: str = "kube-apiserver") -> None:
        """Kill a component, and wait until it is back."""
        with self.down(component):
            pass

    @contextlib.contextmanager
    def paused(self, component: str = "kube-apiserver") -> Iterator[None]:
        """With a component that has stopped answering and keeps its connections (SIGSTOP)."""
        pid = self.pid(component)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
            self.wait_for_api()

    def wait_for_api(self) -> None:
        def ready() -> bool:
            try:
                return self.client.text("/readyz") == "ok"
            except (OSError, ApiFailure):
                return False

        wait_until(ready, within=60, saying="the API server is ready")


class ToolFailure(Exception):
    """kubectl or helm ended with an exit code; `said` is its standard error."""

    def __init__(self, command: str, code: int, said: str) -> None:
        self.code, self.said = code, said
        super().__init__(f"{command}: exit code {code}: {said.strip()}")


def start_host(directory: Path, owner: int) -> "subprocess.Popen[bytes]":
    """Begin to start a cluster in a folder, until the owner is gone; `Cluster.joined` waits for it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "host.log").open("ab") as log:
        return subprocess.Popen(
            _host_words(directory, owner),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def start_shared_host(directory: Path, owner: int) -> None:
    """The same, as nobody's child: it outlives whoever started it, if the owner does."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "host.log").open("ab") as log:
        words = ["sh", "-c", '"$@" &', "sh", *_host_words(directory, owner)]
        subprocess.run(words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True, check=True)


def _host_words(directory: Path, owner: int) -> list[str]:
    return [sys.executable, "-m", "tests.controlplane.host", str(directory), str(owner)]


def secret(data: dict[str, str]) -> dict[str, str]:
    """Values as a Secret's `data` wants them."""
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
