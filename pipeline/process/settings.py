"""What a person sets, for every process: a closed, frozen model that reads nothing by itself.

`load_settings` fills it from the environment over one YAML file; constructing it directly takes
field names and reads neither, which is what tests do. A process adds fields and groups:

    class UplinkSettings(ProcessSettings):
        mqtt: MqttSettings = MqttSettings()          # mqtt.host, TELLTALE_MQTT_HOST

A field's description is its meaning in `telltale settings` and in docs/settings.md. A secret is a
`SecretStr`; it may also be given as `…_FILE`. A duration is `Seconds` or `Milliseconds`, whose unit
stands in the field's name and not in the key.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from pipeline.process.durations import Seconds


class SettingsGroup(BaseModel):
    """A group of keys below one name, such as `kafka`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class KafkaSettings(SettingsGroup):
    """How Kafka is reached."""

    bootstrap: str = Field(
        default="localhost:9092", description="Kafka brokers, as host:port, comma separated"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how connections to Kafka are secured"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="how the user proves who it is, with a SASL protocol"
    )
    sasl_username: str | None = Field(default=None, description="user, with a SASL protocol")
    sasl_password: SecretStr | None = Field(default=None, description="password, with a SASL protocol")
    ssl_cafile: Path | None = Field(
        default=None,
        description="PEM file of the authorities that sign the brokers' certificates; default: the system's",
    )
    ssl_certfile: Path | None = Field(
        default=None, description="PEM file of the client's certificate (mutual TLS)"
    )
    ssl_keyfile: Path | None = Field(default=None, description="PEM file of the client's key (mutual TLS)")

    @field_validator("bootstrap")
    @classmethod
    def _has_ports(cls, value: str) -> str:
        for address in value.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(f"{address.strip()!r} is not host:port, such as localhost:9092")
        return ",".join(address.strip() for address in value.split(","))

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            raise ValueError(f"{self.security_protocol} needs saslUsername and saslPassword")
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile):
            raise ValueError("sslCertfile and sslKeyfile go together")
        return self


class ProcessSettings(SettingsGroup):
    """What every process has."""

    prefix: str = Field(
        default="", description="put in front of every topic, group and transactional id; `demo.`"
    )
    partitions: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="partitions of the topics of the vehicle's way; fixed at creation",
    )
    kafka: KafkaSettings = Field(default=KafkaSettings(), description="Kafka")
    client_id: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=200,
        description="name of this process at the brokers; default: the host's, which is the pod's",
    )
    http_host: str = Field(default="", description="address that the HTTP port listens at; default: all")
    http_port: int = Field(
        default=8080,
        ge=0,
        le=65535,
        description="port of /metrics, /healthz, /readyz, /version; 0: a free one",
    )
    start_timeout_s: Seconds | None = Field(
        default=None,
        description="how long to wait for the brokers at start before exit code 3; default: for ever",
    )
    drain_timeout_s: Seconds = Field(
        default=25.0, description="how long SIGTERM leaves to finish what is in flight"
    )
    state_dir: Path | None = Field(default=None, description="directory for state kept on disk")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level logged"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="json: an object a line; text: for people; auto: text on a terminal"
    )

    @field_validator("prefix")
    @classmethod
    def _fits_kafka(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]{0,150}", value):
            raise ValueError("holds letters, digits, `.`, `_` and `-` only, at most 150 of them")
        return value


S = TypeVar("S", bound=ProcessSettings)


def load_settings(
    model: type[S], config: Path | None = None, environment: Mapping[str, str] | None = None
) -> S:
    """Read the settings of a process, or raise ConfigurationError with everything that is wrong.

    `config` is the YAML file (else `TELLTALE_CONFIG`, else none); `environment` is os.environ unless given.
    """
    from pipeline.process.registry import keys_of_all
    from pipeline.process.sources import resolve

    return resolve(model, config, environment, others=keys_of_all).settings_or_raise()
