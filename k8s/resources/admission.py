"""AdmissionReview v1: the question of the API server, and the answer. Pure.

Refused is what is wrong by itself, with everything that is wrong with it. What only changes labels, or is on
its way out, is let through, however wrong: otherwise nobody could clean up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k8s.resources.documents import Asked, asked_for
from k8s.resources.examining import Examined
from k8s.resources.tenancy import Tenancy
from rules import Diagnostic

_MOST_SHOWN = 50
_LONGEST_WARNING = 250
"""The API server cuts warnings of more than 256 characters, and all of them where they are 4,096 together."""
_MOST_WARNINGS = 12


class NotAReview(ValueError):
    """The body is no AdmissionReview of version v1."""


@dataclass(frozen=True, slots=True)
class Review:
    """A question."""

    uid: str
    asked: Asked | None
    """None where there is nothing to judge."""


def read_review(body: object, tenancy: Tenancy, origin: str) -> Review:
    """Read a question. Raises NotAReview."""
    match body:
        case {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {"uid": str(uid)} as said,
        }:
            pass
        case _:
            raise NotAReview("this is no AdmissionReview of admission.k8s.io/v1")
    resource, before = said.get("object"), said.get("oldObject")
    if said.get("operation") not in ("CREATE", "UPDATE") or said.get("subResource"):
        return Review(uid, None)
    try:
        asked = _asked(resource, said, tenancy, origin)
        was = None if before is None else _asked(before, said, tenancy, origin)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAReview(f"the object of this review cannot be read: {error}") from None
    if isinstance(resource, Mapping) and resource["metadata"].get("deletionTimestamp"):
        return Review(uid, None)
    return Review(uid, None if was is not None and was.text == asked.text else asked)


def _asked(resource: Any, said: Mapping[str, Any], tenancy: Tenancy, origin: str) -> Asked:
    metadata = resource["metadata"]
    # A name is made of generateName after the admission.
    name = metadata.get("name") or f"{str(metadata['generateName']).rstrip('-')}-x"
    namespace = said.get("namespace") or metadata.get("namespace", "")
    return asked_for(
        {**resource, "metadata": {**metadata, "name": name, "namespace": namespace}}, tenancy, origin
    )


def answer(
    review: Review, examined: Examined | None, *, unjudged: str | None = None, note: str | None = None
) -> dict[str, Any]:
    """The answer; `unjudged` says why a resource is let in as it is, `note` what else is to be known."""
    response: dict[str, Any] = {"uid": review.uid, "allowed": True}
    if unjudged is not None:
        response["warnings"] = [_short(unjudged)]
    elif examined is not None:
        if examined.errors:
            response["allowed"] = False
            response["status"] = {"code": 422, "reason": "Invalid", "message": _message(examined.errors)}
        if examined.warnings:
            response["warnings"] = [_warning(each) for each in examined.warnings[:_MOST_WARNINGS]]
    if note is not None and response["allowed"]:
        response["warnings"] = [_short(note), *response.get("warnings", ())]
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _message(errors: Sequence[Diagnostic]) -> str:
    more = [f"and {len(errors) - _MOST_SHOWN} more"] if len(errors) > _MOST_SHOWN else []
    return "\n".join(["the document is wrong:", *(each.format() for each in errors[:_MOST_SHOWN]), *more])


def _warning(finding: Diagnostic) -> str:
    about = f"{finding.path}: " if finding.path else ""
    hint = f" ({finding.hint})" if finding.hint else ""
    return _short(f"{finding.code} {about}{finding.message}{hint}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_WARNING else line[: _LONGEST_WARNING - 1] + "…"
