"""What a pass found is told: in the status where it changed, and as an event where a person wants to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from k8s.api_errors import ApiError
from k8s.operator.acting import Hands
from k8s.operator.events import Events
from k8s.operator.observing import Look
from k8s.pipelines.names import APPLIED, TEMPLATE
from k8s.pipelines.plan import Apply, Change
from k8s.pipelines.reporting import Report, leaving, merge_patch, status_of
from k8s.pipelines.status import CanaryStatus, Condition, Failure, RulePipelineStatus

_BY_MESSAGE: Final = ("InvalidSpec", "RolledBack", "UpgradeFailed", "Refused")
"""Reasons whose every new message is news; the others repeat themselves with other numbers."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Tells the status and the events of pipelines."""

    hands: Hands
    events: Events

    async def tell(self, seen: Look, report: Report) -> None:
        """Write what has changed."""
        await self._tell(seen, status_of(report, seen.status, now_text()))

    async def leaving(self, seen: Look, waits_for: str, trouble: str = "") -> None:
        """It is being deleted; what that waits for, and why it cannot go on."""
        status = leaving(
            seen.status,
            seen.standings,
            seen.generation,
            now_text(),
            waits_for=waits_for,
            trouble=trouble,
        )
        await self._tell(seen, status)

    async def failed(self, seen: Look, failure: Failure, canary: CanaryStatus | None) -> None:
        """Remember a failure before anything is done about it."""
        await self._write(seen, seen.status.model_copy(update={"failed": failure, "canary": canary}))
        note = f"Revision {failure.revision}, {failure.stage}: {failure.message}"
        await self.events.tell(seen.owner, "Warning", failure.reason, note)

    async def trouble(self, seen: Look, error: ApiError) -> None:
        """A pass that could not be finished."""
        reason = "Forbidden" if error.code in (401, 403) else "Refused"
        others = [each for each in seen.status.conditions if each.type != "Degraded"]
        same = next(
            (each for each in seen.status.conditions if each.type == "Degraded" and each.status == "True"),
            None,
        )
        degraded = Condition(
            type="Degraded",
            status="True",
            reason=reason,
            message=str(error)[:2_000],
            last_transition_time=same.last_transition_time if same is not None else now_text(),
            observed_generation=seen.generation,
        )
        await self._write(seen, seen.status.model_copy(update={"conditions": (*others, degraded)}))
        await self.events.tell(seen.owner, "Warning", reason, str(error), subject="trouble")

    async def put_right(self, seen: Look, changes: Iterable[Change]) -> None:
        """Say what somebody else had changed, or deleted of an installation at rest."""
        if seen.status.target_revision is None:
            return
        for change in changes:
            if not isinstance(change, Apply):
                continue
            there = seen.found.get(change.ref)
            if there is None:
                if not _at_rest(seen):
                    continue
                said = f"{change.ref} was missing, and is made again"
            elif _applied(there) == _applied(change.manifest) and _pod(there) == _pod(change.manifest):
                said = f"{change.ref} was changed by somebody else, and is put right"
            else:
                continue
            await self.events.tell(seen.owner, "Normal", "PutRight", said, subject=str(change.ref))

    async def _tell(self, seen: Look, status: RulePipelineStatus) -> None:
        await self._write(seen, status)
        before = {each.type: each for each in seen.status.conditions}
        for condition in status.conditions:
            await self._event(seen, before.get(condition.type), condition)

    async def _write(self, seen: Look, status: RulePipelineStatus) -> None:
        written: dict[str, Any] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        patch = merge_patch(seen.resource.get("status") or {}, written)
        if patch:
            await self.hands.patch_pipeline(seen.owner, {"status": patch}, part="status")

    async def _event(self, seen: Look, before: Condition | None, now: Condition) -> None:
        same = before is not None and (before.status, before.reason) == (now.status, now.reason)
        news = not same or (
            now.reason in _BY_MESSAGE and before is not None and before.message != now.message
        )
        if not news:
            return
        match now.type, now.status:
            case "Degraded", "True":
                await self.events.tell(seen.owner, "Warning", now.reason, now.message, subject="Degraded")
            case "Degraded", "False" if before is not None and before.status == "True":
                await self.events.tell(seen.owner, "Normal", "Recovered", "nothing is wrong any more")
            case "Progressing", _:
                note = now.message or now.reason
                await self.events.tell(seen.owner, "Normal", now.reason, note, subject="Progressing")


def _at_rest(seen: Look) -> bool:
    """Whether the last pass had nothing left to do: then what differs was changed by others."""
    return any(
        each.type == "Progressing" and each.reason == "Complete" for each in seen.status.conditions
    ) and (seen.status.observed_generation == seen.generation)


def _applied(resource: Any) -> str:
    return str((resource["metadata"].get("annotations") or {}).get(APPLIED, ""))


def _pod(resource: Any) -> str:
    return str((resource["metadata"].get("annotations") or {}).get(TEMPLATE, ""))


def now_text() -> str:
    """The present, as conditions write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
