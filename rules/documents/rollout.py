"""Rollout: the set that it stands in is a candidate, which a share of the vehicles has.

The set that ran before stays beside it as the stable one, on the same vehicles and events, so that the two
can be compared, and the way back is short: docs/live-rules.md.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rules.documents.closed import Closed, Document, Finding


class RollBackIf(Closed):
    """When the candidate is taken back without anybody asking; a limit that is left out is none."""

    after_events: Annotated[int, Field(ge=1)] = 1_000
    """Nothing is judged before the candidate has seen so many events."""
    fire_ratio_above: Annotated[float | None, Field(ge=0)] = None
    """It fires more than so many times as often as the stable set."""
    fire_ratio_below: Annotated[float | None, Field(ge=0)] = None
    """It fires less than so many times as often as the stable set."""
    error_rate_above: Annotated[float | None, Field(ge=0)] = None
    """So many more errors for each event than the stable set has."""
    cost_ratio_above: Annotated[float | None, Field(ge=0)] = None
    """An event costs more than so many times as much as with the stable set."""

    elsewhere: ClassVar = {"errorRatioAbove": "errorRateAbove", "costAbove": "costRatioAbove"}


class RolloutSpec(Closed):
    """See docs/rules.md, which describes each field."""

    percent: Annotated[float, Field(ge=0, le=100)]
    """Of the vehicles, with at most two decimals."""
    salt: str = ""
    """Another text gives another share of the vehicles."""
    roll_back_if: RollBackIf = Field(default_factory=RollBackIf)

    elsewhere: ClassVar = {
        "percentage": "percent",
        "share": "percent",
        "rollback": "rollBackIf",
        "seed": "salt",
    }


class Rollout(Document):
    """For how many of the vehicles the documents beside this one act; a set has at most one."""

    kind: Literal["Rollout"] = "Rollout"
    spec: RolloutSpec

    def findings(self) -> Iterator[Finding]:
        """Yield a percentage that is too fine, and limits that nothing could meet."""
        spec, limits = self.spec, self.spec.roll_back_if
        if round(spec.percent, 2) != spec.percent:
            message = "a percentage has at most two decimals"
            yield Finding("TT023", ("spec", "percent"), message, f"for example: {spec.percent:.2f}")
        above, below = limits.fire_ratio_above, limits.fire_ratio_below
        if above is not None and below is not None and below >= above:
            message = (
                "every rate is above the one or below the other: the candidate would always be taken back"
            )
            hint = "fireRatioBelow is less than fireRatioAbove"
            yield Finding("TT095", ("spec", "rollBackIf", "fireRatioBelow"), message, hint)
