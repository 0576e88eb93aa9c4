"""A RulePipeline of the API server becomes a model, or every problem of it at once, each with its path.

The CRD refuses most of this already; what an older CRD let through, and what no schema can say, ends here.
The problems go to the resource's status, so they are sentences for the person who wrote it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from k8s.pipelines.spec import LONGEST_NAME, RulePipelineSpec
from k8s.pipelines.stages import GROUPED, STAGES, Stage
from rules.documents.diagnostics import Path, quote, write_path
from rules.documents.durations import format_duration
from rules.documents.shapes import shape_findings

RESERVED = frozenset(
    {
        "TELLTALE_CLIENT_ID",
        "TELLTALE_CONFIG",
        "TELLTALE_DRAIN_TIMEOUT",
        "TELLTALE_HTTP_HOST",
        "TELLTALE_HTTP_PORT",
        "TELLTALE_PARTITIONS",
        "TELLTALE_PREFIX",
        "TELLTALE_STATE_DIR",
    }
)
"""What the operator sets itself, from other fields."""
_OF_BROKERS = {"TELLTALE_KAFKA_": ("spec", "kafka"), "TELLTALE_MQTT_": ("spec", "mqtt")}
_TUNING = frozenset({"TELLTALE_MQTT_KEEP_ALIVE", "TELLTALE_MQTT_CONNECT_TIMEOUT"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a resource."""

    path: Path
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        """One line for a status or an event."""
        told = f"{write_path(self.path)}: {self.message}"
        return f"{told} ({self.hint})" if self.hint else told


def read_spec(resource: Mapping[str, Any]) -> tuple[RulePipelineSpec | None, tuple[Problem, ...]]:
    """Return the spec of a RulePipeline, and what is wrong with it; no spec where its shape is wrong."""
    spec, problems = read_shape(resource.get("spec"))
    if spec is None:
        return None, problems
    name = str(resource.get("metadata", {}).get("name", ""))
    return spec, (*_name_problems(name), *problems_of(spec))


def read_shape(written: Any) -> tuple[RulePipelineSpec | None, tuple[Problem, ...]]:
    """Return the model of what stands under `spec`, or the problems of its shape."""
    if not isinstance(written, dict):
        return None, (Problem(("spec",), "expected a mapping"),)
    try:
        return RulePipelineSpec.model_validate(written), ()
    except ValidationError as error:
        found = shape_findings(RulePipelineSpec, written, error)
        return None, tuple(Problem(("spec", *each.path), each.message, each.hint) for each in found)


def problems_of(spec: RulePipelineSpec) -> tuple[Problem, ...]:
    """What is wrong although each field on its own is right."""
    return (*_broker_problems(spec), *_topic_problems(spec), *_stage_problems(spec))


def _name_problems(name: str) -> Iterator[Problem]:
    if len(name) > LONGEST_NAME:
        message = f"a name has at most {LONGEST_NAME} characters here, this one has {len(name)}"
        yield Problem(("metadata", "name"), message, "the names of what belongs to it are longer")


def _broker_problems(spec: RulePipelineSpec) -> Iterator[Problem]:
    kafka = spec.kafka
    for port in kafka.ports:
        if not 0 < port < 65536:
            yield Problem(("spec", "kafka", "bootstrap"), f"{port} is not a port")
    wants_sasl = kafka.security_protocol.startswith("SASL")
    if wants_sasl and kafka.sasl is None:
        yield Problem(
            ("spec", "kafka", "sasl"), f"{kafka.security_protocol} needs a user and a passwordSecret"
        )
    if kafka.sasl is not None and not wants_sasl:
        yield Problem(("spec", "kafka", "sasl"), f"{kafka.security_protocol} has no user", "SASL_SSL has")
    if kafka.tls is not None and not kafka.security_protocol.endswith("SSL"):
        yield Problem(
            ("spec", "kafka", "tls"), f"{kafka.security_protocol} is not encrypted", "SSL or SASL_SSL is"
        )
    for where, tls in (("kafka", kafka.tls), ("mqtt", spec.mqtt.tls if spec.mqtt else None)):
        if tls is not None and (tls.certificate is None) != (tls.key is None):
            yield Problem(("spec", where, "tls"), "certificate and key go together")
    if spec.mqtt is not None and spec.mqtt.password_secret is not None and spec.mqtt.username is None:
        yield Problem(("spec", "mqtt", "username"), "a passwordSecret asks for a username")
    needing = [name for name in ("uplink", "downlink") if name in spec.stages.enabled]
    if spec.mqtt is None and needing:
        hint = f"or switch them off: stages.{needing[0]}.enabled: false"
        yield Problem(("spec", "mqtt"), f"needed by {' and '.join(needing)}", hint)


def _topic_problems(spec: RulePipelineSpec) -> Iterator[Problem]:
    if spec.topics.manage == "Strimzi" and spec.topics.strimzi is None:
        yield Problem(("spec", "topics", "strimzi"), "manage: Strimzi needs strimzi.cluster")
    if spec.deletion_policy == "Delete" and spec.topics.manage == "None":
        message = "topics that somebody else manages are not deleted"
        yield Problem(("spec", "deletionPolicy"), message, "Keep, or topics.manage: Job")


def _stage_problems(spec: RulePipelineSpec) -> Iterator[Problem]:
    yield from _setting_problems(spec.settings, ("spec", "settings"))
    if not spec.stages.enabled:
        yield Problem(
            ("spec", "stages"), "no stage is enabled", "paused: true stops the operator, not the stages"
        )
    yield from scale_problems(spec)
    for name in STAGES:
        path = ("spec", "stages", name)
        stage = spec.stages.of(name)
        yield from _setting_problems(stage.settings, (*path, "settings"))
        if stage.canary is not None and stage.canary.for_ms > 7 * 86_400_000:
            text = format_duration(stage.canary.for_ms)
            yield Problem((*path, "canary", "for"), f"a canary is compared for at most 7d, not {text}")


def scale_problems(spec: RulePipelineSpec) -> Iterator[Problem]:
    """Numbers of workers that contradict each other, or find no partitions."""
    if spec.replicas is not None and spec.replicas > spec.partitions:
        yield _too_many(("spec", "replicas"), spec.replicas, spec.partitions)
    for name in STAGES:
        yield from _scale_problems(spec, name, spec.stages.of(name))


def _scale_problems(spec: RulePipelineSpec, name: str, stage: Stage) -> Iterator[Problem]:
    path = ("spec", "stages", name)
    if stage.replicas is not None and stage.autoscaling is not None:
        yield Problem(
            (*path, "replicas"), "replicas and autoscaling exclude each other", "leave replicas out"
        )
    scaling = stage.autoscaling
    if scaling is not None and scaling.min_replicas > scaling.max_replicas:
        message = (
            f"minReplicas is {scaling.min_replicas}, more than maxReplicas, which is {scaling.max_replicas}"
        )
        yield Problem((*path, "autoscaling", "minReplicas"), message)
    if name not in GROUPED:
        return
    most = spec.partitions
    asked = [
        ((*path, "replicas"), stage.replicas),
        ((*path, "autoscaling", "maxReplicas"), scaling.max_replicas if scaling else None),
        ((*path, "canary", "replicas"), stage.canary.replicas if stage.canary else None),
    ]
    for where, count in asked:
        if count is not None and count > most:
            yield _too_many(where, count, most)
    stable = scaling.max_replicas if scaling else spec.replicas_of(name)
    canary = stage.canary.replicas if stage.canary else 0
    if stable is not None and max(stable, canary) <= most < stable + canary:
        message = f"{stable} workers and {canary} of the canary for {most} partitions"
        yield Problem((*path, "canary", "replicas"), message, f"{most} together, at most")


def _too_many(where: Path, count: int, most: int) -> Problem:
    message = f"{count} workers for {most} partitions: {count - most} would have nothing to do"
    return Problem(where, message, f"at most {most}")


def _setting_problems(settings: Mapping[str, object], path: Path) -> Iterator[Problem]:
    for key in settings:
        if not key.startswith("TELLTALE_"):
            yield Problem(
                (*path, key), f"{quote(key)} is no setting", "names of settings begin with TELLTALE_"
            )
        elif key in RESERVED:
            yield Problem((*path, key), "the operator sets this itself, from the other fields")
        elif key not in _TUNING:
            for beginning, instead in _OF_BROKERS.items():
                if key.startswith(beginning):
                    yield Problem((*path, key), f"this is said by {write_path(instead)}")
