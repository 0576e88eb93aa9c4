"""The life of one pod on the process kubelet: its containers, its status, its end."""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.controlplane.containers import Container, Start, now
from tests.controlplane.environment import Fetch, Token, command, variables, volume

Object = dict[str, Any]
VENV = Path(sys.executable).parent
CHECKOUT = Path(__file__).parents[2]
NOBODY = 65532
"""Who a container is that must not be root and does not say who."""


@dataclass
class Image:
    """What an image stands for: the environment that it brings, and where its programs are."""

    environment: dict[str, str] = field(default_factory=dict)
    programs: Path = VENV
    entrypoint: list[str] = field(default_factory=list)


@dataclass
class Surroundings:
    """What a pod needs of its kubelet."""

    address: str
    host: str
    folder: Path
    environment: dict[str, str]
    image: Callable[[str], Image | None]
    fetch: Fetch
    token: Token
    report: Callable[[Object], Awaitable[None]]
    """Writes the status."""


class Pod:
    """A pod that is bound to this kubelet's node."""

    def __init__(self, pod: Object, around: Surroundings) -> None:
        self.object, self.around = pod, around
        self._dirty, self._phase, self._initialized = asyncio.Event(), "Pending", False
        self._since, self._began = {}, now()
        spec = pod["spec"]
        policy = spec.get("restartPolicy", "Always")
        once = "OnFailure" if policy == "Always" else policy
        self.first = [self._container(one, once) for one in spec.get("initContainers", [])]
        self.main = [self._container(one, policy) for one in spec["containers"]]
        self._runs: list[asyncio.Task[None]] = []

    def _container(self, spec: Object, policy: str) -> Container:
        async def prepare() -> Start:
            return await self._prepare(spec)

        return Container(spec, self.around.address, prepare, self._dirty.set, policy)

    def start(self) -> None:
        """Begin to run and to report."""
        self._runs = [asyncio.create_task(self._run()), asyncio.create_task(self._report())]

    async def stop(self, within: float) -> None:
        """End all containers, within the grace; the status has been reported for the last time."""
        everything = [*self.first, *self.main]
        await asyncio.gather(*(container.stop(within) for container in everything))
        # What has just ended becomes a state; whoever waits to start something is cancelled.
        await asyncio.wait(self._runs[:1], timeout=0.2)
        for task in self._runs:
            task.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)
        if self._phase in ("Pending", "Running"):
            codes = [one.state.get("terminated", {}).get("exitCode", 0) for one in self.main]
            self._phase = "Failed" if any(codes) else "Succeeded"
        with contextlib.suppress(Exception):
            await self.around.report(self.status())
        shutil.rmtree(self.around.folder / "volumes", ignore_errors=True)

    async def _run(self) -> None:
        bad = [one for one in (*self.first, *self.main) if self.around.image(one.spec["image"]) is None]
        for one in bad:
            message = f'Back-off pulling image "{one.spec["image"]}"'
            one.state = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
        self._dirty.set()
        if bad:
            return
        for container in self.first:
            if await container.run() != 0:
                self._finish("Failed")
                return
            container.ready = True
        self._initialized, self._phase = True, "Running"
        codes = await asyncio.gather(*(container.run() for container in self.main))
        if not any(container.stopping for container in self.main):
            self._finish("Failed" if any(codes) else "Succeeded")

    def _finish(self, phase: str) -> None:
        self._phase = phase
        self._dirty.set()

    async def _report(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self.around.report(self.status())

    def status(self) -> Object:
        """The pod's status as a kubelet writes it."""
        ready = self._phase == "Running" and all(container.ready for container in self.main)
        gates = {
            "PodReadyToStartContainers": True,
            "Initialized": self._initialized,
            "ContainersReady": ready,
            "Ready": ready,
        }
        kept = [
            one for one in self.object.get("status", {}).get("conditions", []) if one["type"] not in gates
        ]
        around = self.around
        return {
            "phase": self._phase,
            "conditions": kept + [self._condition(*gate) for gate in gates.items()],
            "hostIP": around.host,
            "hostIPs": [{"ip": around.host}],
            "podIP": around.address,
            "podIPs": [{"ip": around.address}],
            "startTime": self._began,
            "initContainerStatuses": [container.status() for container in self.first],
            "containerStatuses": [container.status() for container in self.main],
        }

    def _condition(self, kind: str, holds: bool) -> Object:
        before, _ = self._since.get(kind, (None, ""))
        if before != holds:
            self._since[kind] = (holds, now())
        condition = {
            "type": kind,
            "status": str(holds),
            "lastTransitionTime": self._since[kind][1],
            "lastProbeTime": None,
        }
        if not holds and kind in ("Ready", "ContainersReady"):
            condition["reason"] = "ContainersNotReady"
        return condition

    async def _prepare(self, spec: Object) -> Start:
        around, meta, pod = self.around, self.object["metadata"], self.object
        image = around.image(spec["image"]) or Image()
        # A field reference to the pod's own address sees it, though the API server may not know it yet.
        seen = pod | {"status": pod.get("status", {}) | {"podIP": around.address, "hostIP": around.host}}
        base = {
            "PATH": f"{image.programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/",
            "HOSTNAME": meta["name"],
            **around.environment,
            "TELLTALE_HTTP_HOST": around.address,
            "TELLTALE_RESOURCES_WEBHOOK_HOST": around.address,
            **image.environment,
        }
        found = await variables(seen, spec, base, around.fetch)
        volumes = {one["name"]: one for one in pod["spec"].get("volumes", [])}
        mounts = []
        for one in spec.get("volumeMounts", []):
            to = around.folder / "volumes" / one["name"]
            source = await volume(seen, volumes[one["name"]], to, around.fetch, around.token)
            if path := one.get("subPath"):
                source = source / path
            mounts.append(
                {"source": str(source), "path": one["mountPath"], "readOnly": one.get("readOnly", False)}
            )
        folder = around.folder / spec["name"]
        root = folder / "root"
        root.mkdir(parents=True, exist_ok=True)
        secure = pod["spec"].get("securityContext", {}) | spec.get("securityContext", {})
        user = secure.get("runAsUser", NOBODY if secure.get("runAsNonRoot") else 0)
        return Start(
            {
                "command": command(spec, image.entrypoint, found),
                "environment": found,
                "workingDirectory": spec.get("workingDir", "/"),
                "hostName": meta["name"][:63],
                "root": str(root),
                "readOnly": secure.get("readOnlyRootFilesystem", False),
                "user": user,
                "group": secure.get("runAsGroup", 0),
                "mounts": mounts,
                "readable": [os.path.realpath(sys.base_prefix), str(CHECKOUT), str(image.programs.parent)],
            },
            folder,
            around.folder / f"{spec['name']}.log",
        )
