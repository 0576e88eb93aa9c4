"""Events on a RulePipeline: what `kubectl describe` tells, once for each change and not once for each pass.

They are a courtesy: one that cannot be written is a line in the log, and holds nothing up.
"""

from __future__ import annotations

import socket
import uuid
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from k8s.api import Api
from k8s.api_errors import AlreadyExists, ApiError
from k8s.kinds import EVENT, RULE_PIPELINE
from k8s.operator.patience import patiently
from k8s.pipelines.names import OPERATOR, Owner

_LONGEST = 1_000
_REMEMBERED = 5_000


class Events:
    """Tells, and remembers what was told last about each subject."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._told: dict[tuple[str, str], str] = {}

    async def tell(
        self,
        owner: Owner,
        kind: Literal["Normal", "Warning"],
        reason: str,
        note: str,
        *,
        subject: str | None = None,
    ) -> None:
        """Write an event, unless the last one about the subject (default: the reason) said the same."""
        about = (owner.uid, subject or reason)
        if self._told.get(about) == f"{reason} {note}":
            return
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told[about] = f"{reason} {note}"
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        event: dict[str, Any] = {
            **EVENT.head(),
            "metadata": {"name": f"{owner.name}.{uuid.uuid4().hex[:16]}", "namespace": owner.namespace},
            "eventTime": now,
            "reportingController": f"telltale.dev/{OPERATOR}",
            "reportingInstance": socket.gethostname()[:128],
            "type": kind,
            "reason": reason,
            "action": "Reconcile",
            "note": note if len(note) <= _LONGEST else note[: _LONGEST - 1] + "…",
            "regarding": {
                **RULE_PIPELINE.head(),
                "namespace": owner.namespace,
                "name": owner.name,
                "uid": owner.uid,
            },
        }
        try:
            await patiently(lambda: self._api.create(EVENT, event))
        except AlreadyExists:
            return  # by the try before, whose answer was lost
        except ApiError as error:
            structlog.get_logger(__name__).info(
                "An event was not written", reason=str(error), event_note=note
            )

    def forget(self, owner: Owner) -> None:
        """The pipeline is gone."""
        self._told = {about: said for about, said in self._told.items() if about[0] != owner.uid}
