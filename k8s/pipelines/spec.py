"""RulePipeline: a whole installation as one resource; the operator makes it so.

Closed, frozen and camelCase like every document of the product, and like them the one source: the CRD, its
defaults and its validation rules are made from it. What the API server cannot check is in `checks`.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from k8s.pipelines.brokers import Kafka, Mqtt, Port
from k8s.pipelines.stages import GROUPED, MOST_REPLICAS, LabelText, Setting, Stages
from rules.documents.closed import Closed, Document, Many
from rules.documents.durations import Duration

LONGEST_NAME = 40
"""Of a RulePipeline: with a stage and a hash behind it, it is still a name of Kubernetes."""


class StrimziTopics(Closed):
    """Where Strimzi's topic operator looks for KafkaTopics."""

    cluster: Annotated[str, Field(min_length=1, max_length=63)]
    """The Strimzi cluster, for the label `strimzi.io/cluster`."""


class Topics(Closed):
    """Who makes the Kafka topics."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.manage != 'Strimzi' || has(self.strimzi)",
                    "message": "manage: Strimzi needs strimzi.cluster",
                }
            ]
        }
    )

    manage: Literal["Job", "Strimzi", "None"] = "Job"
    """A Job that runs `telltale topics create`; KafkaTopics for Strimzi; or somebody else."""
    strimzi: StrimziTopics | None = None
    replication_factor: Annotated[int, Field(ge=1, le=32_767)] | None = None
    """Default: the cluster's own."""


class Upgrade(Closed):
    """How a changed spec reaches the stages: one stage after another, readers before writers."""

    progress_deadline_ms: Duration = 300_000
    """A roll-out that stands still for so long has failed."""
    min_ready_ms: Duration = 5_000
    """A new pod counts when it has been ready for so long."""
    roll_back: bool = True
    """A failed upgrade goes back to the last good revision by itself."""


class Monitoring(Closed):
    """What Prometheus is told, where its operator is installed."""

    enabled: bool = True
    labels: Annotated[dict[str, LabelText], Field(max_length=20)] = Field(default_factory=dict)
    """Put on ServiceMonitors and PrometheusRules, for a Prometheus that selects by label."""
    interval_ms: Duration = 30_000
    prometheus_url: Annotated[str, Field(max_length=2_000, pattern=r"^https?://[^\s]+$")] | None = None
    """Where canaries are compared; default: the workers' own metrics."""


class NetworkPolicies(Closed):
    """Who may talk to the pods, and to whom they may talk."""

    enabled: bool = True
    egress_ports: Annotated[Many[Port], Field(max_length=50)] = ()
    """Ports beyond those of the addresses in this spec, such as those that the brokers advertise."""
    from_namespaces: Annotated[dict[str, LabelText], Field(max_length=20)] = Field(default_factory=dict)
    """Labels of the namespaces that may read metrics and health; default: all. The operator reads too."""


def _of_canary(stage: str) -> str:
    """In CEL: the workers that a stage's canary has beside those of `replicas`."""
    it = f"self.stages.{stage}"
    together = f"{it}.enabled && !has({it}.replicas) && !has({it}.autoscaling)"
    return f"{together} && has({it}.canary) ? {it}.canary.replicas : 0"


class RulePipelineSpec(Closed):
    """See docs/kubernetes.md, which describes each field."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.prefix == oldSelf.prefix",
                    "message": "prefix is fixed at creation: it names the topics and the consumer groups",
                    "fieldPath": ".prefix",
                },
                {
                    "rule": "self.partitions == oldSelf.partitions",
                    "message": "partitions are fixed at creation: they say where each vehicle is",
                    "fieldPath": ".partitions",
                },
                {
                    "rule": "!has(self.replicas) || self.replicas <= self.partitions",
                    "message": "more replicas than partitions: they would have nothing to do",
                    "fieldPath": ".replicas",
                },
                {
                    "rule": "!has(self.replicas) || self.replicas"
                    f" + [{', '.join(map(_of_canary, GROUPED))}].max() <= self.partitions",
                    "message": "more replicas than partitions, with those of a stage's canary",
                    "fieldPath": ".replicas",
                },
            ]
        }
    )

    image: Annotated[str, Field(min_length=1, max_length=512)]
    """The image of all stages; a stage may have its own."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    image_pull_secrets: Annotated[Many[str], Field(max_length=20)] = ()
    prefix: Annotated[str, Field(max_length=150, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """In front of every topic, group and transactional id; fixed at creation."""
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Of the topics of the vehicle's way; fixed at creation. No stage can have more replicas."""
    replicas: Annotated[int, Field(ge=0, le=MOST_REPLICAS)] | None = None
    """Workers of each stage that says neither replicas nor autoscaling; `kubectl scale` sets it."""
    kafka: Kafka
    mqtt: Mqtt | None = None
    """Needed by the stages uplink and downlink."""
    topics: Topics = Topics()
    stages: Stages = Stages()
    settings: Annotated[dict[str, Setting], Field(max_length=100)] = Field(default_factory=dict)
    """TELLTALE_* variables of docs/settings.md for all stages."""
    upgrade: Upgrade = Upgrade()
    monitoring: Monitoring = Monitoring()
    network_policies: NetworkPolicies = NetworkPolicies()
    deletion_policy: Literal["Keep", "Delete"] = "Keep"
    """What becomes of the Kafka topics when the RulePipeline is deleted."""
    paused: bool = False
    """True: the operator watches and reports, and changes nothing."""
    rollback_to: Annotated[int, Field(ge=1)] | None = None
    """While it is set, this revision runs, whatever else is said here."""
    revision_history_limit: Annotated[int, Field(ge=1, le=100)] = 10
    """Revisions kept beside those in use."""

    elsewhere: ClassVar = {
        "revision": "rollbackTo",
        "bootstrap": "kafka",
        "env": "settings",
        "suspend": "paused",
    }

    def replicas_of(self, stage: str) -> int | None:
        """How many workers an enabled stage is to have; None where somebody else scales it."""
        return self.replicas if stage in self.scaled_together else self.stages.of(stage).replicas

    @property
    def scaled_together(self) -> tuple[str, ...]:
        """The enabled stages that have as many workers as `replicas` says."""
        stages = ((name, self.stages.of(name)) for name in self.stages.enabled)
        return tuple(name for name, said in stages if said.replicas is None and said.autoscaling is None)

    @property
    def measured(self) -> str | None:
        """The stage by whose pods an autoscaler of the pipeline judges; None where it would scale none.

        One stage alone: what is measured is multiplied by the pods that are found, and pods that another
        autoscaler counts would stop both. It is alerts, where most rules run, if it is among them.
        """
        together = self.scaled_together
        return "alerts" if "alerts" in together else next(iter(together), None)


class RulePipeline(Document):
    """One installation: its brokers, topics and stages."""

    kind: Literal["RulePipeline"] = "RulePipeline"
    spec: RulePipelineSpec
