"""What may be said about each stage of an installation: how many, how large, where, how it is upgraded."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, JsonValue

from rules.documents.closed import Closed, Many
from rules.documents.durations import Duration

STAGES = ("uplink", "normalize", "alerts", "geofences", "aggregations", "downlink")
"""In the way of the data."""
GROUPED = ("normalize", "alerts", "geofences", "aggregations", "downlink")
"""Stages that read Kafka as a consumer group: at most one worker a partition, and a lag to scale by."""
MOST_REPLICAS = 1_000

Quantity = Annotated[
    str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$")
]
"""Kubernetes' notation: `250m`, `512Mi`, `2`."""
Setting = Annotated[str, Field(max_length=4_096)] | int | float | bool
LabelText = Annotated[str, Field(max_length=63)]


class Amounts(Closed):
    """How much of each."""

    cpu: Quantity | int | None = None
    memory: Quantity | int | None = None
    ephemeral_storage: Annotated[Quantity | int | None, Field(alias="ephemeral-storage")] = None


class Resources(Closed):
    """As in a container of Kubernetes."""

    requests: Amounts = Amounts()
    limits: Amounts = Amounts()


class Autoscaling(Closed):
    """How many replicas, by the consumer group's lag where KEDA is installed, else by CPU."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.minReplicas <= self.maxReplicas",
                    "message": "minReplicas is at most maxReplicas",
                }
            ]
        }
    )

    min_replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)]
    lag_threshold: Annotated[int, Field(ge=1, le=1_000_000_000)] = 10_000
    """Records of lag that one replica is given."""
    cpu_utilization: Annotated[int, Field(ge=1, le=1_000)] = 70
    """Percent of the requested CPU, where there is no KEDA and for the uplink, which has no lag."""

    elsewhere: ClassVar = {"min": "minReplicas", "max": "maxReplicas", "lag": "lagThreshold"}


class Checks(Closed):
    """When the new image is worse than the old one; each is judged when there is enough to judge by."""

    max_error_ratio: Annotated[float, Field(ge=1, le=1_000)] = 1.5
    """Errors for each record: at most so many times those of the old image, beyond what chance explains."""
    max_error_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    """Errors for each record, whatever the old image has."""
    max_lag: Annotated[int, Field(ge=0, le=1_000_000_000_000)] | None = None
    """Records that one pod of the new image may be behind at the end."""
    max_outcome_ratio: Annotated[float, Field(ge=1, le=1_000)] = 2.0
    """Outcomes for each record: at most so many times more, or fewer, than those of the old image."""
    min_records: Annotated[int, Field(ge=0, le=1_000_000_000)] = 100
    """Records that the new image must have seen; until then it is not promoted. 0: readiness is enough."""


class Canary(Closed):
    """The new image takes some of the partitions first, and is compared with the old one."""

    replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)] = 1
    for_ms: Duration = 600_000
    """How long it is compared, once it is ready."""
    checks: Checks = Checks()


class Toleration(Closed):
    """As in a pod of Kubernetes."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None


class Spread(Closed):
    """As in a pod of Kubernetes; the selector is the stage's own."""

    topology_key: Annotated[str, Field(min_length=1, max_length=317)]
    max_skew: Annotated[int, Field(ge=1)] = 1
    when_unsatisfiable: Annotated[str, Field(pattern=r"^(DoNotSchedule|ScheduleAnyway)$")] = "ScheduleAnyway"


class Stage(Closed):
    """One stage: one Deployment, and what belongs to it."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "!(has(self.replicas) && has(self.autoscaling))",
                    "message": "replicas and autoscaling exclude each other",
                }
            ]
        }
    )

    enabled: bool = True
    """False: the stage does not run, and what it had is taken away."""
    replicas: Annotated[int, Field(ge=0, le=MOST_REPLICAS)] | None = None
    """Default: the pipeline's. Left out there too: one at first, then whatever `kubectl scale` says."""
    autoscaling: Autoscaling | None = None
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Default: the pipeline's."""
    settings: Annotated[dict[str, Setting], Field(max_length=100)] = Field(default_factory=dict)
    """TELLTALE_* variables of docs/settings.md for this stage alone."""
    resources: Resources = Resources(
        requests=Amounts(cpu="250m", memory="512Mi"), limits=Amounts(memory="1Gi")
    )
    state_size: Quantity = "1Gi"
    """Bound of the directory for state on disk, which is empty at each start."""
    termination_grace_period_seconds: Annotated[int, Field(ge=5, le=3_600)] = 40
    """The stage drains within it, and ten seconds are left over."""
    canary: Canary | None = None
    node_selector: Annotated[dict[str, LabelText], Field(max_length=50)] = Field(default_factory=dict)
    tolerations: Annotated[Many[Toleration], Field(max_length=50)] = ()
    affinity: Annotated[
        dict[str, JsonValue], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = Field(default_factory=dict)
    """As in a pod of Kubernetes."""
    topology_spread: Annotated[Many[Spread], Field(max_length=10)] = (
        Spread(topology_key="topology.kubernetes.io/zone"),
        Spread(topology_key="kubernetes.io/hostname"),
    )
    priority_class_name: Annotated[str, Field(max_length=253)] | None = None
    pod_labels: Annotated[dict[str, LabelText], Field(max_length=50)] = Field(default_factory=dict)
    """Beside the operator's own, which nothing replaces."""
    pod_annotations: Annotated[dict[str, str], Field(max_length=50)] = Field(default_factory=dict)

    elsewhere: ClassVar = {
        "env": "settings",
        "config": "settings",
        "count": "replicas",
        "autoscaler": "autoscaling",
        "topologySpreadConstraints": "topologySpread",
    }


class Stages(Closed):
    """The stages of an installation; one that is not named runs with what `Stage` says by default."""

    uplink: Stage = Stage()
    normalize: Stage = Stage()
    alerts: Stage = Stage()
    geofences: Stage = Stage()
    aggregations: Stage = Stage()
    downlink: Stage = Stage()

    elsewhere: ClassVar = {"geofence": "geofences", "alert": "alerts", "aggregation": "aggregations"}

    def of(self, name: str) -> Stage:
        """The stage of that name, one of STAGES."""
        stage: Stage = getattr(self, name)
        return stage

    @property
    def enabled(self) -> tuple[str, ...]:
        """Names of the stages that run, in the way of the data."""
        return tuple(name for name in STAGES if self.of(name).enabled)
