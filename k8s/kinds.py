"""Every kind that a program of ours asks the API server for, by its place in the API.

Kinds of other projects are named here too; whether the cluster has them, `Api.served` says.
"""

from dataclasses import dataclass
from typing import Any, Final

GROUP: Final = "telltale.dev"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource, as the API server serves it."""

    group: str
    version: str
    plural: str
    name: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Such as apps/v1; the core group has no name."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """Such as deployments.apps."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, part: str | None = None) -> str:
        """The path of a collection, of one resource, or of a part (subresource) of it."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        space = f"/namespaces/{namespace}" if namespace is not None else ""
        one = f"/{name}" if name is not None else ""
        return f"{root}{space}/{self.plural}{one}" + (f"/{part}" if part is not None else "")

    def head(self) -> dict[str, Any]:
        """What a manifest of the kind begins with."""
        return {"apiVersion": self.api_version, "kind": self.name}


CONFIG_MAP: Final = Kind("", "v1", "configmaps", "ConfigMap")
NAMESPACE: Final = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
POD: Final = Kind("", "v1", "pods", "Pod")
SECRET: Final = Kind("", "v1", "secrets", "Secret")
SERVICE: Final = Kind("", "v1", "services", "Service")
SERVICE_ACCOUNT: Final = Kind("", "v1", "serviceaccounts", "ServiceAccount")
DEPLOYMENT: Final = Kind("apps", "v1", "deployments", "Deployment")
CONTROLLER_REVISION: Final = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
AUTOSCALER: Final = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
JOB: Final = Kind("batch", "v1", "jobs", "Job")
LEASE: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")
EVENT: Final = Kind("events.k8s.io", "v1", "events", "Event")
NETWORK_POLICY: Final = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
DISRUPTION_BUDGET: Final = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
VALIDATING_WEBHOOK: Final = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)

SERVICE_MONITOR: Final = Kind("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor")
PROMETHEUS_RULE: Final = Kind("monitoring.coreos.com", "v1", "prometheusrules", "PrometheusRule")
SCALED_OBJECT: Final = Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
TRIGGER_AUTHENTICATION: Final = Kind("keda.sh", "v1alpha1", "triggerauthentications", "TriggerAuthentication")
KAFKA_TOPIC: Final = Kind("kafka.strimzi.io", "v1", "kafkatopics", "KafkaTopic")

FOREIGN: Final = (SERVICE_MONITOR, PROMETHEUS_RULE, SCALED_OBJECT, TRIGGER_AUTHENTICATION, KAFKA_TOPIC)
"""Kinds of other projects, which a cluster may lack."""

RULE_PIPELINE: Final = Kind(GROUP, "v1alpha1", "rulepipelines", "RulePipeline")


def rule_kind(name: str, plural: str) -> Kind:
    """A kind of our own whose resources are rule documents."""
    return Kind(GROUP, "v1alpha1", plural, name)
