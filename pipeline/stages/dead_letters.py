"""A record that cannot be used, as it came, with the reason in its headers.

The value and the key are the original bytes. The headers say code, reason, stage, source topic, partition and
offset; the original's own headers follow under `original-`.
"""

from pipeline.runtime import Output, Record

MAX_REASON = 500


def dead_letter(record: Record, stage: str, code: str, reason: str) -> Output:
    """The output that keeps `record` for people. `code` is stable and bounded; `reason` is a sentence."""
    headers = [
        ("code", code.encode()),
        ("reason", reason[:MAX_REASON].encode("utf-8", "replace")),
        ("stage", stage.encode()),
        ("source-topic", record.topic.encode()),
        ("source-partition", str(record.partition).encode()),
        ("source-offset", str(record.offset).encode()),
        ("ce_id", f"{record.topic}:{record.partition}:{record.offset}".encode()),
    ]
    headers.extend((f"original-{name}", content) for name, content in record.headers)
    return Output("vehicle.dead-letter", record.key, record.value, headers, record.timestamp, None)
