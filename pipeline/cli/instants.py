"""A time on the command line: an instant, or how long ago."""

from __future__ import annotations


def instant_of(text: str) -> int:
    """A time, or a duration before now, in milliseconds since the epoch."""
    import time

    from pipeline.process.durations import parse_duration
    from pipeline.process.failures import ConfigurationError
    from pipeline.process.times import parse_time

    try:
        return parse_time(text)
    except ValueError:
        try:
            return int(time.time() * 1000 - parse_duration(text))
        except ValueError:
            raise ConfigurationError(
                f"--since {text}: write 10m, 2h, or a time such as 2026-01-01T00:00:00Z"
            ) from None
