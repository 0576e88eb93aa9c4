"""What a stage is told: a ConfigMap of TELLTALE_* variables, and the files of Secrets that it may read.

The ConfigMap is immutable and has the hash of its content in its name, so that a pod of the old revision that
starts again in the middle of an upgrade reads what it was made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from k8s.kinds import CONFIG_MAP
from k8s.pipelines.brokers import SecretKey, Tls
from k8s.pipelines.names import Owner, fingerprint, labels_of, stage_name
from k8s.pipelines.spec import RulePipelineSpec

HTTP_PORT: Final = 8080
STATE_DIR: Final = "/var/lib/telltale"
SECRETS_DIR: Final = "/etc/telltale/secrets"
SECRET_FILE: Final = "value"
"""Each secret has a directory of its own, with this file in it."""
_SPARE_S: Final = 10
"""What is left of the grace period when a stage has drained."""
_WITH_MQTT: Final = ("uplink", "downlink")


def variables(spec: RulePipelineSpec, component: str) -> dict[str, str]:
    """The TELLTALE_* variables of a stage, or of the Job that makes topics."""
    said = {
        "TELLTALE_PREFIX": spec.prefix,
        "TELLTALE_PARTITIONS": str(spec.partitions),
        "TELLTALE_LOG_FORMAT": "json",
        **_text(spec.settings),
        **_kafka(spec),
    }
    if component in _WITH_MQTT:
        said |= _mqtt(spec)
    if component in spec.stages.enabled:
        stage = spec.stages.of(component)
        said |= {
            **_text(stage.settings),
            "TELLTALE_HTTP_PORT": str(HTTP_PORT),
            "TELLTALE_STATE_DIR": STATE_DIR,
            "TELLTALE_DRAIN_TIMEOUT": f"{drain_s(stage.termination_grace_period_seconds)}s",
        }
    # An empty variable is a setting that is not set.
    return {key: value for key, value in sorted(said.items()) if value}


def drain_s(grace_s: int) -> int:
    """How long a stage may drain: the grace period without a rest, in which it is stopped."""
    return max(grace_s - _SPARE_S, grace_s // 2, 1)


def config_map(owner: Owner, spec: RulePipelineSpec, component: str) -> dict[str, Any]:
    """The ConfigMap of a stage."""
    data = variables(spec, component)
    return {
        **CONFIG_MAP.head(),
        "metadata": {
            "name": f"{stage_name(owner, component)}-{fingerprint(data)}",
            "namespace": owner.namespace,
            "labels": labels_of(owner, component),
        },
        "immutable": True,
        "data": data,
    }


def secret_files(spec: RulePipelineSpec, component: str) -> dict[str, SecretKey]:
    """The directories below SECRETS_DIR, and the key of a Secret that each holds."""
    return {name: key for name, _, key in _secrets(spec, component)}


def _secrets(spec: RulePipelineSpec, component: str) -> Iterator[tuple[str, str, SecretKey]]:
    """The name of the file, the variable that names it, and where it comes from."""
    kafka, mqtt = spec.kafka, spec.mqtt
    if kafka.sasl is not None:
        yield "kafka-password", "TELLTALE_KAFKA_SASL_PASSWORD_FILE", kafka.sasl.password_secret
    if kafka.tls is not None:
        yield from _of_tls("kafka", "TELLTALE_KAFKA_SSL_", kafka.tls)
    if mqtt is not None and component in _WITH_MQTT:
        if mqtt.password_secret is not None:
            yield "mqtt-password", "TELLTALE_MQTT_PASSWORD_FILE", mqtt.password_secret
        if mqtt.tls is not None:
            yield from _of_tls("mqtt", "TELLTALE_MQTT_TLS_", mqtt.tls)


def _of_tls(party: str, beginning: str, tls: Tls) -> Iterator[tuple[str, str, SecretKey]]:
    for part, variable, key in (
        ("ca", "CAFILE", tls.ca),
        ("certificate", "CERTFILE", tls.certificate),
        ("key", "KEYFILE", tls.key),
    ):
        if key is not None:
            yield f"{party}-{part}", f"{beginning}{variable}", key


def _files(spec: RulePipelineSpec, component: str) -> dict[str, str]:
    return {
        variable: f"{SECRETS_DIR}/{name}/{SECRET_FILE}" for name, variable, _ in _secrets(spec, component)
    }


def _kafka(spec: RulePipelineSpec) -> dict[str, str]:
    kafka = spec.kafka
    said = {
        "TELLTALE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "TELLTALE_KAFKA_SECURITY_PROTOCOL": kafka.security_protocol,
        **_files(spec, "kafka"),
    }
    if kafka.sasl is not None:
        said["TELLTALE_KAFKA_SASL_MECHANISM"] = kafka.sasl.mechanism
        said["TELLTALE_KAFKA_SASL_USERNAME"] = kafka.sasl.username
    return said


def _mqtt(spec: RulePipelineSpec) -> dict[str, str]:
    mqtt = spec.mqtt
    if mqtt is None:
        return {}
    return {
        "TELLTALE_MQTT_HOST": mqtt.host,
        "TELLTALE_MQTT_PORT": str(mqtt.effective_port),
        "TELLTALE_MQTT_TLS": "true" if mqtt.tls is not None else "false",
        "TELLTALE_MQTT_USERNAME": mqtt.username or "",
        **_files(spec, "uplink"),
    }


def _text(settings: dict[str, Any]) -> dict[str, str]:
    """Settings as an environment has them: true, not True."""
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in settings.items()
    }
