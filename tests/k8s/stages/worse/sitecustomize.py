"""A version with a mistake: for one signal out of its range it throws the whole message away.

Python imports a module of this name at its start: the image with this folder in PYTHONPATH is that version.
"""

from pipeline.stages import payloads

_good = payloads.Reader._reject


def _reject(self: payloads.Reader, reason: str, name: str, value: object) -> None:
    _good(self, reason, name, value)
    raise payloads.Unusable("signal-rejected", reason)


payloads.Reader._reject = _reject  # type: ignore[method-assign]
