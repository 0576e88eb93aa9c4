"""What a person sets for the bridges: the MQTT broker, the topics on it, the bounds of what is in flight."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from bridges.mqtt import Broker
from bridges.topics import Template
from pipeline.process import ConfigurationError, ProcessSettings, Seconds, SettingsGroup


class MqttSettings(SettingsGroup):
    """How the MQTT broker is reached."""

    host: str = Field(default="localhost", min_length=1, description="host of the MQTT 5 broker")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="its port; default: 1883, with TLS 8883"
    )
    tls: bool = Field(default=False, description="whether the connection is encrypted")
    tls_cafile: Path | None = Field(
        default=None,
        description="PEM file of the authorities that sign the broker's certificate; default: the system's",
    )
    tls_certfile: Path | None = Field(
        default=None, description="PEM file of the client's certificate (mutual TLS)"
    )
    tls_keyfile: Path | None = Field(default=None, description="PEM file of the client's key (mutual TLS)")
    username: str | None = Field(default=None, description="user at the broker")
    password: SecretStr | None = Field(default=None, description="password at the broker")
    keep_alive_s: Seconds = Field(
        default=30.0,
        ge=5,
        le=65535,
        description="how long the connection may be silent before it is asked for a sign",
    )
    connect_timeout_s: Seconds = Field(
        default=10.0, gt=0, description="how long the broker may take to let us in"
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if bool(self.tls_certfile) != bool(self.tls_keyfile):
            raise ValueError("tlsCertfile and tlsKeyfile go together")
        if not self.tls and (self.tls_cafile or self.tls_certfile):
            raise ValueError("tlsCafile, tlsCertfile and tlsKeyfile ask for tls: true")
        if self.password is not None and self.username is None:
            raise ValueError("a password asks for a username")
        return self

    def broker(self, client_id: str) -> Broker:
        """What a connection needs; ConfigurationError where a certificate or key cannot be used."""
        return Broker(
            host=self.host,
            port=self.port or (8883 if self.tls else 1883),
            client_id=client_id,
            tls=self._context() if self.tls else None,
            username=self.username,
            password=None if self.password is None else self.password.get_secret_value(),
            keep_alive_s=round(self.keep_alive_s),
            connect_timeout_s=self.connect_timeout_s,
        )

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.tls_cafile)
        except OSError as error:
            raise ConfigurationError(f"mqtt.tlsCafile: {self.tls_cafile} cannot be used: {error}") from error
        if self.tls_certfile and self.tls_keyfile:
            try:
                context.load_cert_chain(self.tls_certfile, self.tls_keyfile)
            except OSError as error:
                raise ConfigurationError(
                    f"mqtt.tlsCertfile and mqtt.tlsKeyfile: {self.tls_certfile} and {self.tls_keyfile}"
                    f" cannot be used: {error}"
                ) from error
        return context


def _check_templates(values: tuple[str, ...], placeholders: frozenset[str]) -> tuple[str, ...]:
    for value in values:
        Template.parse(value, placeholders)
    return values


ADDRESSES = frozenset({"tenant", "vehicle_id"})


class UplinkGroup(SettingsGroup):
    """What the uplink reads, and how much of it at a time."""

    telemetry_topics: tuple[str, ...] = Field(
        default=("vehicles/{vehicle_id}/telemetry",),
        min_length=1,
        description="MQTT topics whose messages go to vehicle.raw; {vehicle_id}, {tenant} are whole levels",
    )
    response_topics: tuple[str, ...] = Field(
        default=("vehicles/{vehicle_id}/responses",),
        description="MQTT topics whose messages go to vehicle.command-responses",
    )
    receive_maximum: int = Field(
        default=10_000,
        ge=1,
        le=65535,
        description="messages that the broker may send before the first is acknowledged",
    )
    session_expiry_s: Seconds = Field(
        default=86_400.0,
        ge=0,
        le=0xFFFFFFFF,
        description="how long the broker keeps messages for an uplink that is away",
    )
    max_in_flight_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="bytes of messages held in memory before reading stops"
    )
    max_record_bytes: int = Field(
        default=1_000_000,
        ge=1024,
        description="largest record for Kafka (below max.message.bytes); what is larger is a dead letter",
    )

    @field_validator("telemetry_topics", "response_topics")
    @classmethod
    def _are_templates(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return _check_templates(values, ADDRESSES)


class DownlinkGroup(SettingsGroup):
    """Where the downlink publishes, and how much at a time."""

    command_topic: str = Field(
        default="vehicles/{vehicle_id}/commands/{name}",
        description="MQTT topic of a command; {vehicle_id}, {name} and {tenant} are whole levels",
    )
    response_topic: str = Field(
        default="vehicles/{vehicle_id}/responses",
        description="MQTT topic that the vehicle is asked to answer on",
    )
    max_in_flight: int = Field(
        default=500, ge=1, le=60_000, description="commands published before the first is acknowledged"
    )
    max_command_bytes: int = Field(
        default=256 * 1024, ge=1024, description="largest payload of a command; a larger one is a dead letter"
    )

    @field_validator("command_topic")
    @classmethod
    def _is_template(cls, value: str) -> str:
        return _check_templates((value,), ADDRESSES | {"name"})[0]

    @field_validator("response_topic")
    @classmethod
    def _is_response_template(cls, value: str) -> str:
        return _check_templates((value,), ADDRESSES)[0]


class UplinkSettings(ProcessSettings):
    """Settings of `telltale run uplink`."""

    mqtt: MqttSettings = Field(default=MqttSettings(), description="MQTT broker")
    uplink: UplinkGroup = Field(default=UplinkGroup(), description="uplink")


class DownlinkSettings(ProcessSettings):
    """Settings of `telltale run downlink`."""

    mqtt: MqttSettings = Field(default=MqttSettings(), description="MQTT broker")
    downlink: DownlinkGroup = Field(default=DownlinkGroup(), description="downlink")
