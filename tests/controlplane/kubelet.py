"""A kubelet that runs the pods of its node as local processes, with the machine's own files as their image.

A pod gets an address of its own, volumes, user and read-only root by a mount namespace (`container.py`),
probes, restarts with back-off and a graceful end. What it has not: an image (its name only chooses among
`images`; a tag that begins with `bad` cannot be pulled), a network namespace (processes bind the address
in TELLTALE_HTTP_HOST), DNS, resource limits, logs and exec through kubectl (`log` has the output).

The node is tainted; `annotations` are what a namespace needs for its pods to go there.
"""

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

from tests.controlplane.addresses import subnet
from tests.controlplane.async_client import AWAY, AsyncClient, Refused
from tests.controlplane.cluster import Cluster
from tests.controlplane.containers import now
from tests.controlplane.pods import Image, Pod, Surroundings

Object = dict[str, Any]
TAINT = "telltale.dev/kubelet"
HEARTBEAT_S = 5.0
AGAIN_S = 0.2


class ProcessKubelet:
    """A node, from `with` to its end; needs root, for mounts and addresses."""

    def __init__(self, cluster: Cluster, images: dict[str, Image] | None = None) -> None:
        self.cluster = cluster
        self.name = f"process-{uuid.uuid4().hex[:8]}"
        self.images = images if images is not None else {}
        """By the image's whole name or its tag; may be changed while it runs."""
        self.folder = Path(tempfile.mkdtemp(prefix="telltale-kubelet-"))
        self._pods: dict[str, Pod] = {}
        self._ends: dict[str, asyncio.Task[None]] = {}
        self._addresses: set[str] = set()

    @property
    def annotations(self) -> dict[str, str]:
        """Of a namespace: its pods run here and nowhere else."""
        toleration = {"key": TAINT, "operator": "Exists", "effect": "NoSchedule"}
        return {
            "scheduler.alpha.kubernetes.io/node-selector": f"kubernetes.io/hostname={self.name}",
            "scheduler.alpha.kubernetes.io/defaultTolerations": json.dumps([toleration]),
        }

    def log(self, namespace: str, pod: str, container: str) -> str:
        """What a container has printed so far, over all its starts."""
        path = self.folder / namespace / pod / f"{container}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pid(self, namespace: str, pod: str, container: str) -> int:
        """The process of a container that runs."""
        for one in self._pods.values():
            meta = one.object["metadata"]
            if (meta["namespace"], meta["name"]) == (namespace, pod):
                (found,) = [each for each in one.main if each.spec["name"] == container]
                assert found.process is not None
                return found.process.pid
        raise KeyError(f"{namespace}/{pod}")

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise PermissionError("the process kubelet needs root: it mounts volumes and adds addresses")
        self._range = subnet()
        self._network = self._range.__enter__()
        started, self._loop = threading.Event(), asyncio.new_event_loop()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, args=(started.set,), name=self.name, daemon=True)
        self._thread.start()
        started.wait(30)
        if self._failure:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)
        self._range.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._failure:
            raise self._failure

    def _main(self, tell: Callable[[], None]) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve(tell))
        except BaseException as failure:
            self._failure = failure
        finally:
            tell()

    async def _serve(self, tell: Callable[[], None]) -> None:
        self._over = asyncio.Event()
        async with AsyncClient.opened(self.cluster, "kubelet") as self._api:
            await self._register()
            tell()
            work = [asyncio.create_task(self._watch()), asyncio.create_task(self._beat())]
            ended = asyncio.create_task(self._over.wait())
            await asyncio.wait([*work, ended], return_when=asyncio.FIRST_COMPLETED)
            for task in work:
                task.cancel()
            await asyncio.gather(*self._ends.values(), return_exceptions=True)
            await asyncio.gather(*(pod.stop(0.0) for pod in self._pods.values()), return_exceptions=True)
            with contextlib.suppress(*AWAY, Refused):
                await self._api.ask("DELETE", f"/api/v1/nodes/{self.name}")
            for task in work:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    # The node.

    async def _register(self) -> None:
        labels = {"kubernetes.io/hostname": self.name, TAINT: "process", "kubernetes.io/os": "linux"}
        taint = {"key": TAINT, "value": "process", "effect": "NoSchedule"}
        node = {"metadata": {"name": self.name, "labels": labels}, "spec": {"taints": [taint]}}
        await self._api.ask("POST", "/api/v1/nodes", node)
        room = {"cpu": "64", "memory": "64Gi", "pods": "200", "ephemeral-storage": "100Gi"}
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastHeartbeatTime": now(),
            "lastTransitionTime": now(),
        }
        status = {
            "capacity": room,
            "allocatable": room,
            "conditions": [condition],
            "addresses": [{"type": "InternalIP", "address": f"{self._network}.1"}],
        }
        await self._api.patch(f"/api/v1/nodes/{self.name}/status", {"status": status})
        lease = {"metadata": {"name": self.name}, "spec": {"holderIdentity": self.name}}
        await self._api.ask("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease)

    async def _beat(self) -> None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self.name}"
        while True:
            renewed = {"spec": {"renewTime": now().replace("Z", ".000000Z"), "leaseDurationSeconds": 40}}
            with contextlib.suppress(*AWAY, Refused):
                await self._api.patch(path, renewed)
            await asyncio.sleep(HEARTBEAT_S)

    # Its pods.

    async def _watch(self) -> None:
        query = {"fieldSelector": f"spec.nodeName={self.name}"}
        while True:
            try:
                listed = json.loads(await self._api.ask("GET", "/api/v1/pods", params=query))
                present = {pod["metadata"]["uid"] for pod in listed["items"]}
                for gone in self._pods.keys() - present:
                    self._gone(gone)
                for pod in listed["items"]:
                    self._see(pod)
                version = listed["metadata"]["resourceVersion"]
                async for event in self._api.events(
                    "/api/v1/pods", query | {"watch": "1", "resourceVersion": version}
                ):
                    if event["type"] == "ERROR":
                        break
                    if event["type"] == "DELETED":
                        self._gone(event["object"]["metadata"]["uid"])
                    else:
                        self._see(event["object"])
            except (*AWAY, Refused):
                await asyncio.sleep(AGAIN_S)

    def _see(self, pod: Object) -> None:
        meta = pod["metadata"]
        known = self._pods.get(meta["uid"])
        if known is None and "deletionTimestamp" in meta:
            return  # Ended already; its own deletion is on the way.
        if known is None:
            known = Pod(pod, self._surroundings(pod))
            self._pods[meta["uid"]] = known
            known.start()
        known.object = pod
        if "deletionTimestamp" in meta and meta["uid"] not in self._ends:
            self._end(meta["uid"], self._delete(known, meta["deletionGracePeriodSeconds"]))

    def _gone(self, uid: str) -> None:
        """Deleted by force, or by ourselves."""
        known = self._pods.get(uid)
        if known is not None and uid not in self._ends:
            self._end(uid, self._forget(known, 0.0))

    def _end(self, uid: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._ends[uid] = task

        def ended(_: object) -> None:
            del self._ends[uid]

        task.add_done_callback(ended)

    async def _delete(self, pod: Pod, grace: float) -> None:
        await self._forget(pod, grace)
        meta = pod.object["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        while True:
            try:
                await self._api.ask("DELETE", path, options)
                return
            except Refused as refused:
                if refused.code in (404, 409):
                    return
            except AWAY:
                pass
            await asyncio.sleep(AGAIN_S)

    async def _forget(self, pod: Pod, grace: float) -> None:
        await pod.stop(grace)
        self._pods.pop(pod.object["metadata"]["uid"], None)
        self._addresses.discard(pod.around.address)

    def _surroundings(self, pod: Object) -> Surroundings:
        meta = pod["metadata"]
        free = (f"{self._network}.{last}" for last in range(2, 255))
        address = next(one for one in free if one not in self._addresses)
        self._addresses.add(address)
        space = f"/api/v1/namespaces/{meta['namespace']}"

        async def fetch(plural: str, name: str) -> Object | None:
            try:
                found: Object = json.loads(await self._api.ask("GET", f"{space}/{plural}/{name}"))
                return found
            except Refused as refused:
                if refused.code == 404:
                    return None
                raise

        async def token(wanted: Object) -> str:
            bound = {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}
            spec = {"boundObjectRef": bound, "expirationSeconds": wanted.get("expirationSeconds", 3600)}
            if "audience" in wanted:
                spec["audiences"] = [wanted["audience"]]
            account = pod["spec"].get("serviceAccountName", "default")
            answer = await self._api.ask("POST", f"{space}/serviceaccounts/{account}/token", {"spec": spec})
            return str(json.loads(answer)["status"]["token"])

        async def report(status: Object) -> None:
            # The uid, so that a new pod of the same name is not meant.
            body = {"metadata": {"uid": meta["uid"]}, "status": status}
            while True:
                try:
                    await self._api.patch(f"{space}/pods/{meta['name']}/status", body)
                    return
                except Refused as refused:
                    if refused.code in (404, 409):
                        return
                    raise
                except AWAY:
                    await asyncio.sleep(AGAIN_S)

        ports = self.cluster.ports
        return Surroundings(
            address,
            f"{self._network}.1",
            self.folder / meta["namespace"] / meta["name"],
            {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(ports.api)},
            self._image,
            fetch,
            token,
            report,
        )

    def _image(self, name: str) -> Image | None:
        tag = name.partition("@")[0].rpartition(":")[2]
        if tag.startswith("bad"):
            return None
        return self.images.get(name) or self.images.get(tag) or Image()
