"""What a person can set for a simulated fleet; the options of `telltale simulate` are these settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from bridges.settings import MqttSettings
from bridges.topics import unfit
from pipeline.process import ProcessSettings, Seconds, SettingsGroup, parse_time


class FleetGroup(SettingsGroup):
    """The fleet: how many vehicles, how often they report, or which recorded drive is replayed."""

    vehicles: int = Field(default=50, ge=1, le=20_000, description="how many vehicles")
    name: str = Field(default="vehicle", description="vehicles are called NAME-1, NAME-2, …")
    seed: int = Field(default=1, description="the same seed gives the same fleet")
    interval_s: Seconds = Field(default=1.0, ge=0.05, le=60, description="time between two samples")
    duration_s: Seconds | None = Field(
        default=None, description="publish for so long; default: until asked to stop"
    )
    linger_s: Seconds = Field(
        default=0.0, description="stay connected for so long after the last message, to answer commands"
    )
    report_every_s: Seconds | None = Field(
        default=None, gt=0, description="print the counters so often while running; default: at the end only"
    )
    trace: Path | None = Field(default=None, description="CSV file of a recorded drive to replay instead")
    vehicle: str = Field(default="trace-1", description="id of the vehicle that replays the trace")
    start: str | None = Field(
        default=None,
        description="time of the trace's first row, RFC 3339; default: now, or so that it ends now (speedup)",
    )
    speedup: float = Field(
        default=1.0, gt=0, description="how many times as fast the trace is published; inf: at once"
    )

    @property
    def interval_ms(self) -> int:
        """The interval as the pure parts count it."""
        return round(self.interval_s * 1000)

    @field_validator("name", "vehicle")
    @classmethod
    def _fits_a_topic(cls, value: str) -> str:
        if reason := unfit(value):
            raise ValueError(f"is part of MQTT topics and {reason}")
        return value

    @field_validator("start")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None:
            parse_time(value)
        return value


class SimulatorSettings(ProcessSettings):
    """Settings of `telltale simulate`."""

    http_port: int = Field(
        default=0, ge=0, le=65535, description="port of /healthz and /readyz; 0: a free one"
    )
    drain_timeout_s: Seconds = Field(
        default=60.0, description="how long SIGTERM leaves to have everything confirmed"
    )
    mqtt: MqttSettings = Field(default_factory=MqttSettings, description="MQTT broker")
    fleet: FleetGroup = Field(default_factory=FleetGroup, description="fleet")
