"""Every topic of ours has a JSON Schema (2020-12): what its records always hold.

Keys may be added to a record later, none removed, so that further keys are allowed and the ones
listed as required stay. Where the value is somebody else's bytes, the schema is that of the headers.
"""

from __future__ import annotations

import difflib
import json
from importlib import resources
from typing import Any

from pipeline.process.failures import ConfigurationError
from pipeline.process.topics import TOPICS, Topic

NAMESPACES = ("vehicle", "telltale")


def find_topic(name: str, prefix: str = "") -> Topic:
    """The topic that a person means by `alerts`, `deliveries`, `vehicle.alerts` or the prefixed name.

    ConfigurationError, with advice, if it is none of ours.
    """
    plain = name.removeprefix(prefix)
    words = (plain, plain.removesuffix("s"), f"{plain}s", f"{plain.removesuffix('y')}ies")
    candidates = [plain, *(f"{space}.{word}" for space in NAMESPACES for word in words)]
    for candidate in candidates:
        if candidate in TOPICS:
            return TOPICS[candidate]
    ending = [topic for topic in TOPICS.values() if any(topic.name.endswith(f"-{word}") for word in words)]
    if len(ending) == 1:
        return ending[0]
    shorts = [short_name(topic) for topic in TOPICS.values()]
    near = difflib.get_close_matches(plain, [*shorts, *TOPICS], n=1)
    raise ConfigurationError(
        f"no topic is called {name!r}; "
        + (f"did you mean {near[0]}?" if near else f"there are: {', '.join(shorts)}")
    )


def short_name(topic: Topic) -> str:
    """`alerts` for `vehicle.alerts`."""
    return topic.name.partition(".")[2]


def schema_text(file: str) -> str:
    """A schema as it ships."""
    return resources.files(__name__).joinpath(file).read_text(encoding="utf-8")


def schema_of(topic: Topic) -> dict[str, Any] | None:
    """The schema of a topic's values, parsed; None where the values are not JSON of ours."""
    if topic.schema is None:
        return None
    schema: dict[str, Any] = json.loads(schema_text(topic.schema))
    return schema
