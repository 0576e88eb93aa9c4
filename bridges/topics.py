"""MQTT topics as templates: which vehicle a message is from, and where its record goes.

A placeholder is one whole level, so a template is also a subscription (`vehicles/+/telemetry`). What a
vehicle id may be is decided here, since the id is a Kafka key, a part of MQTT topics and the name of a
state: at most 256 bytes of UTF-8 without control characters, wildcards or separators. A topic is looked at
once; a fleet's topics repeat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.process.partitioning import partition_of

GREATEST_ID_BYTES = 256
GREATEST_TOPIC_BYTES = 65_535
_REMEMBERED = 1 << 17
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f+#/]")


class Misfit(ValueError):
    """A topic that no record can be made of; `code` is stable, the text is a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Destination(NamedTuple):
    """Where the records of one MQTT topic go, made once for all its messages."""

    topic: str
    partition: int
    key: bytes
    headers: tuple[tuple[str, bytes], ...]


def unfit(text: str) -> str | None:
    """Why a text cannot be one level of a topic (a vehicle id, a command's name); None if it can."""
    if not text:
        return "is empty"
    if _UNFIT.search(text):
        return "holds a control character or one of + # /"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if size > GREATEST_ID_BYTES:
        return f"has {size} bytes, more than {GREATEST_ID_BYTES}"
    return None


@dataclass(frozen=True, slots=True)
class Template:
    """A topic whose placeholders are whole levels: `vehicles/{vehicle_id}/telemetry`."""

    text: str
    levels: tuple[str | None, ...]
    """The literal level, or None for a placeholder."""
    names: Mapping[str, int]
    """The level of each placeholder."""

    @classmethod
    def parse(cls, text: str, allowed: frozenset[str]) -> Template:
        """Read a template that names the vehicle and only `allowed` placeholders. Raises ValueError."""
        levels: list[str | None] = []
        names: dict[str, int] = {}
        for index, level in enumerate(text.split("/")):
            placeholder = _PLACEHOLDER.fullmatch(level)
            if placeholder is None:
                if re.search(r"[{}+#\x00]", level):
                    raise ValueError(f"{text!r}: a level is plain text or one placeholder, not {level!r}")
                levels.append(level)
                continue
            name = placeholder[1]
            if name not in allowed:
                known = ", ".join(f"{{{known}}}" for known in sorted(allowed))
                raise ValueError(f"{text!r}: {{{name}}} is unknown here; there are {known}")
            if name in names:
                raise ValueError(f"{text!r}: {{{name}}} stands there twice")
            names[name] = index
            levels.append(None)
        if "vehicle_id" not in names:
            raise ValueError(f"{text!r} does not say where the vehicle is: it needs {{vehicle_id}}")
        if levels[0] == "$share" or len(text.encode()) > GREATEST_TOPIC_BYTES:
            raise ValueError(f"{text!r} is no MQTT topic")
        return cls(text, tuple(levels), names)

    @property
    def filter(self) -> str:
        """The subscription that takes its topics."""
        return "/".join("+" if level is None else level for level in self.levels)

    def overlaps(self, other: Template) -> bool:
        """Whether a topic could belong to both."""
        return len(self.levels) == len(other.levels) and all(
            mine is None or theirs is None or mine == theirs
            for mine, theirs in zip(self.levels, other.levels, strict=True)
        )

    def match(self, levels: list[bytes]) -> dict[str, bytes] | None:
        """The placeholders' values in a topic that was split at `/`; None if the topic is another's."""
        if len(levels) != len(self.levels):
            return None
        for mine, theirs in zip(self.levels, levels, strict=True):
            if mine is not None and mine.encode() != theirs:
                return None
        return {name: levels[index] for name, index in self.names.items()}

    def fill(self, values: Mapping[str, str]) -> str:
        """The topic with its placeholders replaced; KeyError for a missing value."""
        levels = list(self.levels)
        for name, index in self.names.items():
            levels[index] = values[name]
        return "/".join(level or "" for level in levels)


class Routes:
    """Every template that the uplink listens to, with the Kafka topic that its messages go to."""

    def __init__(self, templates: Iterable[tuple[Template, str]], partitions: int) -> None:
        self._templates = tuple(templates)
        self._partitions = partitions
        self._known: dict[bytes, Destination] = {}
        for index, (template, _) in enumerate(self._templates):
            for other, _ in self._templates[:index]:
                if template.overlaps(other):
                    raise ValueError(f"{template.text!r} and {other.text!r} take the same topics")

    def filters(self, share: str) -> list[str]:
        """The shared subscriptions, one for each template."""
        return [f"$share/{share}/{template.filter}" for template, _ in self._templates]

    def find(self, topic: bytes) -> Destination:
        """Where a message goes. Raises Misfit."""
        known = self._known.get(topic)
        if known is not None:
            return known
        destination = self._look(topic)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[topic] = destination
        return destination

    def _look(self, topic: bytes) -> Destination:
        levels = topic.split(b"/")
        for template, target in self._templates:
            values = template.match(levels)
            if values is None:
                continue
            vehicle = _identify("vehicle id", values["vehicle_id"])
            headers = [("mqtt-topic", topic)]
            key = vehicle
            if "tenant" in values:
                tenant = _identify("tenant", values["tenant"])
                headers.append(("tenant", tenant))
                key = tenant + b"/" + vehicle
                if len(key) > GREATEST_ID_BYTES:
                    raise Misfit("vehicle-id-invalid", "tenant and vehicle id together are too long")
            return Destination(target, partition_of(key, self._partitions), key, tuple(headers))
        raise Misfit("topic-unknown", "the topic fits no template of the uplink")


def _identify(what: str, value: bytes) -> bytes:
    try:
        reason = unfit(value.decode())
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    if reason is not None:
        raise Misfit("vehicle-id-invalid", f"the {what} {reason}")
    return value
