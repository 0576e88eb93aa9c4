"""Every output is a CloudEvents 1.0 event in Kafka's binary mode: the value is ours, the headers theirs.

`ce_id` is the deterministic id of the record, so that whoever reads twice can tell.
Source: CloudEvents 1.0.2, Kafka Protocol Binding 1.0.2, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.process.times import format_time
from pipeline.process.topics import topic

Header = tuple[str, bytes]
_JSON = ("content-type", b"application/json")
_VERSION = ("ce_specversion", b"1.0")


class Envelope:
    """The headers of one topic's records; what is the same for all of them is made once."""

    __slots__ = ("_fixed",)

    def __init__(self, logical: str, source: str) -> None:
        """`logical` is a topic of ours with an event type; `source` names the stage: `alerts`."""
        event_type = topic(logical).event_type
        if event_type is None:
            raise ValueError(f"records of {logical} have no event type")
        self._fixed: tuple[Header, ...] = (
            _JSON,
            _VERSION,
            ("ce_type", event_type.encode()),
            ("ce_source", f"/telltale/{source}".encode()),
        )

    def headers(self, identity: str, *, subject: str | None, time_ms: int) -> list[Header]:
        """Headers of the record `identity` about `subject` (the vehicle), which happened at `time_ms`."""
        headers = [*self._fixed, ("ce_id", identity.encode()), ("ce_time", format_time(time_ms).encode())]
        if subject:
            headers.append(("ce_subject", subject.encode()))
        return headers


def read_envelope(headers: Iterable[Header]) -> dict[str, str]:
    """The attributes of an event, without `ce_`; those of a record that is none are empty.

    The content type is called `datacontenttype`, as CloudEvents calls it.
    """
    attributes: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        if key == "content-type":
            attributes["datacontenttype"] = value.decode(errors="replace")
        elif key.startswith("ce_"):
            attributes[key[3:]] = value.decode(errors="replace")
    return attributes
