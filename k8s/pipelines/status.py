"""What a RulePipeline's status says; the CRD's schema of it is made from these models.

It also holds what the operator must know after a restart and cannot see: which revision is the last good one,
which one has failed, and where a canary began. All the rest is observed anew.
"""

from typing import Annotated, Literal

from pydantic import Field

from rules.documents.closed import Closed, Many


class Condition(Closed):
    """As Kubernetes defines conditions."""

    type: Annotated[str, Field(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(max_length=1_024)]
    message: Annotated[str, Field(max_length=32_768)] = ""
    last_transition_time: str
    observed_generation: int | None = None


class StageStatus(Closed):
    """One stage as it is."""

    replicas: int = 0
    """Wanted."""
    ready: int = 0
    updated: int = 0
    """Of the template that is wanted now."""
    image: str = ""
    revision: int | None = None
    """The pipeline's revision that the stage runs or is being brought to."""
    state: str = ""
    """Running, Creating, Upgrading, Waiting, Canary, Failed, ScaledToZero or Disabled."""
    lag: int | None = None
    """Records not yet processed, where the workers' metrics can be read."""


class Reading(Closed):
    """What one pod had counted."""

    records: int = 0
    errors: int = 0
    outcomes: int = 0


class CanaryStatus(Closed):
    """A canary that runs, or the last one."""

    stage: str
    revision: int
    state: Literal["Starting", "Comparing", "WaitingForRecords", "Promoted", "RolledBack"]
    started_at: str | None = None
    """When it was ready, and the comparison began."""
    message: str = ""
    baseline: Annotated[dict[str, Reading], Field(max_length=2_000)] = Field(default_factory=dict)
    """What each pod of the old image had counted then."""


class Failure(Closed):
    """A revision that did not come up, and is not tried again."""

    revision: int
    stage: str = ""
    reason: str
    message: str = ""
    generation: int | None = None
    """Of the resource when it failed: any later edit but one of its scale tries the revision again."""
    edit: str = ""
    """The hash of the spec without its scale then; empty where it was edited while it was paused."""


class RulePipelineStatus(Closed):
    """The status subresource."""

    observed_generation: int | None = None
    conditions: Annotated[Many[Condition], Field(max_length=10)] = ()
    revision: int | None = None
    """The last revision that was wholly up."""
    target_revision: int | None = None
    """The revision that is wanted; it differs from `revision` during an upgrade."""
    target_replicas: int | None = None
    """What `spec.replicas` said when the spec was last valid."""
    failed: Failure | None = None
    stages: Annotated[dict[str, StageStatus], Field(max_length=20)] = Field(default_factory=dict)
    ready_stages: str = ""
    """Such as 6/6."""
    lag: int | None = None
    replicas: int | None = None
    """Pods of the stage that is furthest from `spec.replicas`, of those that it scales."""
    selector: str = ""
    """The labels of the pods by which an autoscaler of the pipeline judges: those of one stage."""
    canary: CanaryStatus | None = None
