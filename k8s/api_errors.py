"""What can go wrong between us and the API server, and whether to try again.

ApiError
├── Unavailable       nobody answers, or the answer is 429 or 5xx: try again, after `after_s`
│   └── Broken        a watch that was answered has ended before its time
├── Conflict          409: somebody changed it in between: read, then try again
├── AlreadyExists     409 of a create
├── Gone              410: a watch is too old: list anew
├── NotFound          404
├── Forbidden         401 and 403: a right is missing: trying again helps when somebody grants it
└── Refused           the rest of 4xx: the object is wrong, and stays so until it is changed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """The API server did not do what was asked."""

    again = False
    """Whether the same request may succeed later."""

    def __init__(self, message: str, *, code: int = 0, after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.after_s = after_s


class Unavailable(ApiError):
    """Nobody answers, or it has no time for us; `after_s` is what the server asked for."""

    again = True


class Broken(Unavailable):
    """A watch was answered, and has ended before its time."""


class Conflict(ApiError):
    """It was changed since it was read."""

    again = True


class AlreadyExists(ApiError):
    """There is one of that name."""


class Gone(ApiError):
    """That version is no longer known."""


class NotFound(ApiError):
    """There is none."""


class Forbidden(ApiError):
    """We have no right to it."""

    again = True


class Refused(ApiError):
    """The request is wrong."""


def error_of(code: int, status: Mapping[str, Any] | str, after_s: float | None = None) -> ApiError:
    """The error that an answer stands for; `status` is its body, a Status of Kubernetes or a text."""
    if isinstance(status, str):
        message, reason = status.strip()[:500] or f"HTTP {code}", ""
    else:
        message, reason = str(status.get("message") or f"HTTP {code}"), str(status.get("reason", ""))
    kind: type[ApiError]
    match code:
        case 404:
            kind = NotFound
        case 409:
            kind = AlreadyExists if reason == "AlreadyExists" else Conflict
        case 410:
            kind = Gone
        case 401 | 403:
            # A namespace that is being deleted refuses with 403 too, and that does not pass.
            kind = Refused if "being terminated" in message else Forbidden
        case 429:
            kind = Unavailable
        case 500 if message.startswith("failed to create typed patch object"):
            # What a server-side apply says of a field that the kind does not have.
            kind = Refused
        case _ if code >= 500:
            kind = Unavailable
        case _:
            kind = Refused
    return kind(message, code=code, after_s=after_s)
