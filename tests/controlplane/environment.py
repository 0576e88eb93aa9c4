"""What a container's process finds around it: variables, command line and volumes, as the pod asks for them.

References to what is missing raise NotYet: the kubelet says so in the container's state and tries again.
"""

import base64
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Object = dict[str, Any]
Fetch = Callable[[str, str], Awaitable[Object | None]]
"""The object of a plural and a name in the pod's namespace, or None."""
Token = Callable[[Object], Awaitable[str]]
"""A token of the pod's ServiceAccount, as a projection asks for it."""

SOURCES = {
    "configMapRef": "configmaps",
    "configMapKeyRef": "configmaps",
    "secretRef": "secrets",
    "secretKeyRef": "secrets",
}


class NotYet(Exception):
    """A ConfigMap, a Secret or a key that the pod needs is not there."""


async def variables(pod: Object, container: Object, base: dict[str, str], fetch: Fetch) -> dict[str, str]:
    """`base`, then envFrom, then env; $(NAME) in a value refers to what stands before it."""
    found = dict(base)
    for one in container.get("envFrom", []):
        for kind in SOURCES.keys() & one.keys():
            for key, value in (await _data(SOURCES[kind], one[kind], fetch)).items():
                found[one.get("prefix", "") + key] = value.decode()
    for one in container.get("env", []):
        value = await _value(pod, container, one, fetch)
        if value is not None:
            found[one["name"]] = value if "valueFrom" in one else expand(value, found)
    return found


async def _value(pod: Object, container: Object, one: Object, fetch: Fetch) -> str | None:
    match one.get("valueFrom"):
        case None:
            return one.get("value", "")
        case {"fieldRef": {"fieldPath": path}}:
            return field(pod, path)
        case {"resourceFieldRef": {"resource": resource}}:
            kind, _, name = resource.partition(".")
            return str(container.get("resources", {}).get(kind, {}).get(name, "0"))
        case {"configMapKeyRef": wanted} | {"secretKeyRef": wanted} as source:
            plural = SOURCES[next(iter(source))]
            data = await _data(plural, wanted, fetch)
            if wanted["key"] in data:
                return data[wanted["key"]].decode()
            if wanted.get("optional"):
                return None
            raise NotYet(f"no key {wanted['key']} in {plural} {wanted['name']}")
    raise NotYet(f"this kubelet does not know {one['valueFrom']}")


def command(container: Object, image: list[str], found: dict[str, str]) -> list[str]:
    """command and args, or the image's own, with $(NAME) replaced."""
    words = container.get("command") or image
    return [expand(word, found) for word in [*words, *container.get("args", [])]]


def expand(text: str, found: dict[str, str]) -> str:
    """$(NAME) becomes the variable, $$(NAME) is $(NAME), what is unknown stays."""

    def replace(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        return found.get(match[1], match[0])

    return re.sub(r"\$?\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)", replace, text)


def field(pod: Object, path: str) -> str:
    """What the downward API gives for a path, such as metadata.name or metadata.labels['x']."""
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str(pod["metadata"].get(match[1], {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        words = pod["metadata"].get(path.partition(".")[2], {})
        return "\n".join(f'{key}="{value}"' for key, value in sorted(words.items()))
    at: Any = pod
    for part in path.split("."):
        at = at.get(part, "") if isinstance(at, dict) else ""
    return str(at)


async def volume(pod: Object, spec: Object, to: Path, fetch: Fetch, token: Token) -> Path:
    """The folder of a volume, filled: a mount of it is a bind of this folder."""
    to.mkdir(parents=True, exist_ok=True)
    match spec:
        case {"hostPath": {"path": path}}:
            return Path(path)
        case {"emptyDir": _}:
            to.chmod(0o777)
        case {"projected": {"sources": sources}}:
            for source in sources:
                await _fill(pod, source, to, fetch, token)
        case {"secret": wanted}:
            named = {"name": wanted["secretName"]} | wanted
            await _fill(pod, {"secret": named}, to, fetch, token)
        case {"configMap": _} | {"downwardAPI": _}:
            await _fill(pod, spec, to, fetch, token)
        case _:
            raise NotYet(f"this kubelet does not know the volume {spec['name']}: {sorted(spec)}")
    return to


async def _fill(pod: Object, source: Object, to: Path, fetch: Fetch, token: Token) -> None:
    files: dict[str, bytes] = {}
    match source:
        case {"serviceAccountToken": wanted}:
            files[wanted["path"]] = (await token(wanted)).encode()
        case {"downwardAPI": wanted}:
            for one in wanted.get("items", []):
                files[one["path"]] = field(pod, one["fieldRef"]["fieldPath"]).encode()
        case {"configMap": wanted} | {"secret": wanted}:
            data = await _data("secrets" if "secret" in source else "configmaps", wanted, fetch)
            chosen = wanted.get("items") or [{"key": key, "path": key} for key in data]
            for one in chosen:
                if one["key"] in data:
                    files[one["path"]] = data[one["key"]]
                elif not wanted.get("optional"):
                    raise NotYet(f"no key {one['key']} in {wanted['name']}")
    for path, content in files.items():
        at = to / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(content)
        at.chmod(0o644)


async def _data(plural: str, wanted: Object, fetch: Fetch) -> dict[str, bytes]:
    found = await fetch(plural, wanted["name"])
    if found is None:
        if wanted.get("optional"):
            return {}
        raise NotYet(f"{plural} {wanted['name']} not found")
    encoded = found.get("data", {}) if plural == "secrets" else found.get("binaryData", {})
    data = {key: base64.b64decode(value) for key, value in encoded.items()}
    if plural == "configmaps":
        data |= {key: value.encode() for key, value in found.get("data", {}).items()}
    return data
