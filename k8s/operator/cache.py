"""What the cluster has of ours, as the watches last told it: passes read here and ask nobody.

An object never gets older here: what an apply has answered stands until a watch brings something newer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from k8s.kinds import CONTROLLER_REVISION, POD, RULE_PIPELINE, Kind
from k8s.pipelines.names import INSTANCE, Ref

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name of a RulePipeline."""
_MOST_GONE = 10_000


class Cache:
    """Resources by kind, and by the pipeline that their label names."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[Key, Object]] = {}
        self._by_pipeline: dict[Key, dict[Ref, Object]] = {}
        self._gone: dict[tuple[str, Key], int] = {}
        """The last version of what was deleted: an answer that comes after that is old."""

    def put(self, kind: Kind, resource: Object) -> Key | None:
        """Remember a resource; the key of the pipeline that it belongs to, None if it was not news."""
        found = self._kinds.setdefault(kind.resource, {})
        key = _key(resource)
        before = found.get(key)
        known = self._gone.get((kind.resource, key), 0) if before is None else _version(before)
        if known >= _version(resource) > 0:
            return None
        found[key] = resource
        return self._index(kind, resource)

    def remove(self, kind: Kind, resource: Object) -> Key | None:
        """Forget a resource; the key of its pipeline."""
        key = _key(resource)
        before = self._kinds.get(kind.resource, {}).get(key)
        if before is not None and _version(before) > _version(resource):
            return None
        if len(self._gone) >= _MOST_GONE:
            self._gone.clear()
        self._gone[kind.resource, key] = _version(resource)
        self._kinds.get(kind.resource, {}).pop(key, None)
        pipeline = pipeline_of(kind, resource)
        self._by_pipeline.get(pipeline, {}).pop(Ref(kind.resource, key[1]), None)
        return pipeline

    def replace(self, kind: Kind, namespace: str | None, resources: Iterable[Object]) -> set[Key]:
        """A whole list of a kind, of one namespace or of all; the keys of the pipelines that it concerns."""
        listed = {_key(resource): resource for resource in resources}
        concerned: set[Key] = set()
        for key, resource in list(self._kinds.get(kind.resource, {}).items()):
            if namespace in (None, key[0]) and key not in listed:
                self._kinds[kind.resource].pop(key)
                pipeline = pipeline_of(kind, resource)
                self._by_pipeline.get(pipeline, {}).pop(Ref(kind.resource, key[1]), None)
                concerned.add(pipeline)
        told = (self.put(kind, resource) for resource in listed.values())
        return concerned | {pipeline for pipeline in told if pipeline is not None}

    def forget(self, kind: Kind) -> None:
        """A kind that the cluster no longer has."""
        for resource in list(self._kinds.get(kind.resource, {}).values()):
            self.remove(kind, resource)

    def pipeline(self, key: Key) -> Object | None:
        """The RulePipeline."""
        return self._kinds.get(RULE_PIPELINE.resource, {}).get(key)

    def pipelines(self) -> Iterator[Key]:
        """The keys of all RulePipelines."""
        yield from list(self._kinds.get(RULE_PIPELINE.resource, {}))

    def resources(self, key: Key) -> dict[Ref, Object]:
        """What belongs to a pipeline, without pods and revisions."""
        aside = (POD.resource, CONTROLLER_REVISION.resource, RULE_PIPELINE.resource)
        return {
            ref: found for ref, found in self._by_pipeline.get(key, {}).items() if ref.resource not in aside
        }

    def pods(self, key: Key) -> list[Object]:
        """The pods of a pipeline."""
        return self._of_kind(key, POD)

    def revisions(self, key: Key) -> list[Object]:
        """The ControllerRevisions of a pipeline."""
        return self._of_kind(key, CONTROLLER_REVISION)

    def _of_kind(self, key: Key, kind: Kind) -> list[Object]:
        return [
            found for ref, found in self._by_pipeline.get(key, {}).items() if ref.resource == kind.resource
        ]

    def _index(self, kind: Kind, resource: Object) -> Key:
        pipeline = pipeline_of(kind, resource)
        if kind is not RULE_PIPELINE:
            name = resource["metadata"]["name"]
            self._by_pipeline.setdefault(pipeline, {})[Ref(kind.resource, name)] = resource
        return pipeline


def pipeline_of(kind: Kind, resource: Object) -> Key:
    """The pipeline that a resource belongs to, by its label; itself, if it is one."""
    metadata = resource["metadata"]
    if kind is RULE_PIPELINE:
        return metadata["namespace"], metadata["name"]
    return metadata["namespace"], (metadata.get("labels") or {}).get(INSTANCE, "")


def _key(resource: Object) -> Key:
    return resource["metadata"]["namespace"], resource["metadata"]["name"]


def _version(resource: Object) -> int:
    """Versions of one kind are numbers that grow (Kubernetes says so since 1.35)."""
    version = resource["metadata"].get("resourceVersion", "0")
    return int(version) if version.isdecimal() else 0
