"""What a sample of a test means for its signal, and whether `normalize` would let it pass."""

from rules.documents.samples import Value
from rules.documents.signal_catalog import NUMERIC, DecoderPath


def worded(value: Value | None) -> Value | None:
    """A word or a number among the samples of a text signal is a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return value


def misfit(signal: DecoderPath, value: Value) -> str | None:
    """Why `normalize` would drop a value; None if it would not."""
    if signal.type in NUMERIC:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"is no number, and {signal.name} is a {signal.type}"
        if signal.type not in ("double", "float") and value != int(value):
            return f"is not whole, and {signal.name} is a {signal.type}"
        if signal.minimum is not None and value < signal.minimum:
            return f"is below {signal.minimum:g}, the least of {signal.name}"
        if signal.maximum is not None and value > signal.maximum:
            return f"is above {signal.maximum:g}, the most of {signal.name}"
    elif isinstance(value, str) != (signal.type == "string") or not isinstance(value, str | bool):
        return f"is no {signal.type}, which {signal.name} is"
    if signal.allowed is not None and value not in signal.allowed:
        return f"is not one of {', '.join(map(str, sorted(signal.allowed, key=str)))}"
    return None
