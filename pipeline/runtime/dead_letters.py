"""A record that the runtime cannot get through the stage, as it came, with the reason in its headers."""

from __future__ import annotations

from pipeline.runtime.stage import Output, Record

TOPIC = "vehicle.dead-letter"
_MAX_REASON = 500


def dead_letter(
    record: Record, stage: str, code: str, reason: str, *, most_bytes: int | None = None
) -> Output:
    """The output that keeps `record` for people. `code` is stable and bounded; `reason` is a sentence.

    `most_bytes` bounds key, value and headers: the original headers go first, then the value.
    """
    headers = [
        ("code", code.encode()),
        ("reason", reason[:_MAX_REASON].encode("utf-8", "replace")),
        ("stage", stage.encode()),
        ("source-topic", record.topic.encode()),
        ("source-partition", str(record.partition).encode()),
        ("source-offset", str(record.offset).encode()),
        ("ce_id", f"{record.topic}:{record.partition}:{record.offset}".encode()),
    ]
    originals = [(f"original-{name}", content) for name, content in record.headers]
    value = record.value
    if most_bytes is not None:
        room = most_bytes - 2_048 - len(record.key or b"") - len(value or b"")
        if room < sum(2 * len(name) + len(content) + 8 for name, content in originals):
            originals = [("original-headers-omitted", str(len(originals)).encode())]
        if room < 0 and value is not None:
            originals.append(("original-value-omitted", str(len(value)).encode()))
            value = b""
    return Output(TOPIC, record.key, value, headers + originals, record.timestamp, None)
