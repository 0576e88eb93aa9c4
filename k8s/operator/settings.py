"""What a person sets for the operator."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from k8s.resources import RuleResources
from pipeline.process import ProcessSettings, Seconds, SettingsGroup


class OperatorGroup(SettingsGroup):
    """The operator's own keys."""

    kubeconfig: Path | None = Field(
        default=None, description="file that says where the API server is; default: the pod's own account"
    )
    namespaces: tuple[str, ...] = Field(
        default=(), description="namespaces that are looked after; default: all"
    )
    namespace: str = Field(
        default="default", min_length=1, description="the operator's own namespace, where its Lease is"
    )
    lease_name: str = Field(
        default="telltale-operator", min_length=1, description="the Lease by which one of several leads"
    )
    lease_duration_s: Seconds = Field(
        default=15.0, gt=0, description="silence of the leader after which another one takes over"
    )
    renew_deadline_s: Seconds = Field(
        default=10.0, gt=0, description="a leader that cannot renew its Lease for so long ends itself"
    )
    retry_period_s: Seconds = Field(
        default=2.0, gt=0, description="how often the Lease is renewed, or tried to be got"
    )
    workers: int = Field(default=4, ge=1, le=64, description="pipelines that are looked after at a time")
    scrape_interval_s: Seconds = Field(
        default=30.0, gt=0, description="how often the workers' metrics are read"
    )
    canary_interval_s: Seconds = Field(
        default=5.0, gt=0, description="how often a canary is compared while it runs"
    )
    discovery_interval_s: Seconds = Field(
        default=60.0, gt=0, description="how often is looked which kinds of other projects there are"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.retry_period_s < self.renew_deadline_s < self.lease_duration_s:
            raise ValueError("retryPeriod is less than renewDeadline, which is less than leaseDuration")
        return self


class OperatorSettings(ProcessSettings):
    """The operator."""

    operator: OperatorGroup = Field(default=OperatorGroup(), description="the operator")
    resources: RuleResources = Field(default=RuleResources(), description="rule resources")
