"""Who makes the Kafka topics: a Job that runs our own command, or Strimzi from one KafkaTopic each.

The Job has the hash of what it does in its name: a new image, which may know a new topic, is a new Job, and
the stages are upgraded when it is done. A KafkaTopic has no owner where topics are kept, so that nothing that
deletes the installation deletes a topic with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from k8s.kinds import CONFIG_MAP, JOB, KAFKA_TOPIC
from k8s.pipelines.environment import config_map
from k8s.pipelines.names import TOPICS, Owner, fingerprint, labels_of
from k8s.pipelines.spec import RulePipelineSpec
from k8s.pipelines.workloads import common_container, common_pod, mounts, volumes
from pipeline.process.names import topic_name
from pipeline.process.topics import TOPICS as TABLE

TopicsState = Literal["running", "complete", "failed"]
"""How the Job that makes the topics stands."""
_AGAIN = 6
_DEADLINE_S = 600


def topics_job(owner: Owner, spec: RulePipelineSpec, work: Literal["create", "delete"]) -> dict[str, Any]:
    """The Job that makes the topics, or deletes them for good."""
    words = ["telltale", "topics", work]
    if work == "delete":
        words.append("--yes")
    elif spec.topics.replication_factor is not None:
        words += ["--replication", str(spec.topics.replication_factor)]
    template: dict[str, Any] = {
        "metadata": {"labels": labels_of(owner, TOPICS)},
        "spec": {
            **common_pod(spec),
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": TOPICS,
                    "image": spec.image,
                    "command": words,
                    **common_container(owner, spec, TOPICS),
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"memory": "512Mi"},
                    },
                    "volumeMounts": mounts(spec, TOPICS),
                }
            ],
            "volumes": volumes(spec, TOPICS),
        },
    }
    # Kafka may be slower to come than we are.
    body = {"backoffLimit": _AGAIN, "activeDeadlineSeconds": _DEADLINE_S, "template": template}
    return {
        **JOB.head(),
        "metadata": {
            "name": f"{owner.name}-topics-{work}-{fingerprint(body)}",
            "namespace": owner.namespace,
            "labels": labels_of(owner, TOPICS),
        },
        "spec": body,
    }


def topics_settings(owner: Owner, spec: RulePipelineSpec) -> dict[str, Any]:
    """The ConfigMap of that Job."""
    return {**CONFIG_MAP.head(), **config_map(owner, spec, TOPICS)}


def kafka_topics(owner: Owner, spec: RulePipelineSpec) -> list[dict[str, Any]]:
    """One KafkaTopic for each topic of the installation."""
    assert spec.topics.strimzi is not None
    made = []
    for topic in TABLE.values():
        name = topic_name(spec.prefix, topic.name)
        config = topic.config()
        factor = spec.topics.replication_factor
        if factor is not None and factor >= 3:
            config["min.insync.replicas"] = "2"
        made.append(
            {
                **KAFKA_TOPIC.head(),
                "metadata": {
                    "name": resource_name(owner, topic.name),
                    "namespace": owner.namespace,
                    "labels": {
                        **labels_of(owner, TOPICS),
                        "strimzi.io/cluster": spec.topics.strimzi.cluster,
                    },
                },
                "spec": {
                    "topicName": name,
                    "partitions": topic.partitions(spec.partitions),
                    **({"replicas": factor} if factor is not None else {}),
                    "config": config,
                },
            }
        )
    return made


def resource_name(owner: Owner, topic: str) -> str:
    """The name of the KafkaTopic of a topic of ours."""
    return f"{owner.name}-{topic.replace('.', '-')}"


def job_outcome(job: Mapping[str, Any]) -> tuple[TopicsState, str]:
    """How a Job stands, and what Kubernetes says about it."""
    for condition in job.get("status", {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            text = str(condition.get("message") or condition.get("reason") or "")
            return ("complete" if condition["type"] == "Complete" else "failed"), text
    return "running", ""
