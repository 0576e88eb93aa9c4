"""What a person sets for rule resources: whose a namespace is, how changes are gathered, the webhook."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.process.durations import Seconds
from pipeline.process.settings import SettingsGroup


class WebhookSettings(SettingsGroup):
    """The validating webhook, which refuses wrong rules at `kubectl apply`."""

    enabled: bool = Field(default=False, description="whether rules are judged at `kubectl apply`")
    host: str = Field(default="", description="address that the webhook listens at; default: all")
    port: int = Field(default=9443, ge=0, le=65535, description="port of the webhook; 0: a free one")
    service: str = Field(default="telltale-operator-webhook", description="Service that leads to the webhook")
    configuration: str = Field(
        default="telltale-rules", description="ValidatingWebhookConfiguration that is given our authority"
    )
    secret: str = Field(
        default="telltale-operator-webhook", description="Secret in which authority and certificate are kept"
    )
    certificate_file: Path | None = Field(
        default=None, description="PEM file of a certificate from elsewhere, cert-manager for example"
    )
    key_file: Path | None = Field(default=None, description="PEM file of the key to it")
    names: tuple[str, ...] = Field(
        default=(), description="further names or addresses that the certificate is good for"
    )
    timeout_s: Seconds = Field(
        default=5.0, gt=0, le=30, description="time to judge one resource, after which it is let in unjudged"
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificateFile and keyFile go together")
        return self


class RuleResources(SettingsGroup):
    """How resources become rules."""

    enabled: bool = Field(
        default=False,
        description="whether rule resources are written to telltale.rules of this Kafka and prefix",
    )
    tenancy: Literal["namespaces", "none"] = Field(
        default="namespaces",
        description="namespaces: each is a tenant, whose rules see its vehicles alone; none: all are one",
    )
    shared_namespace: str | None = Field(
        default=None,
        description="namespace whose catalog, fences, definitions and rules are everybody's; default: the "
        "operator's own",
    )
    origin: str = Field(
        default="kubernetes",
        min_length=1,
        max_length=63,
        description="mark on documents of this cluster; clusters that share a Kafka have different ones",
    )
    quiet_s: Seconds = Field(
        default=0.2, description="changes of resources are gathered until it is quiet so long"
    )
    longest_s: Seconds = Field(default=2.0, description="and at most so long")
    status_rate: float = Field(
        default=100.0, gt=0, le=10_000, description="statuses written to the API server in a second, at most"
    )
    webhook: WebhookSettings = Field(default=WebhookSettings(), description="the validating webhook")
