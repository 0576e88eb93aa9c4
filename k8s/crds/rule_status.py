"""What the status of a rule, a fence, a catalog or another document says; the CRDs' schema is made of it.

Whoever writes it dumps this model, so a status that the schema does not know cannot be written.
"""

from typing import Annotated, Literal

from pydantic import Field

from k8s.pipelines.status import Condition
from rules.documents.closed import Closed, Many

MOST_ERRORS = 100
"""Findings that a status tells; whoever has more corrects these first."""


class Problem(Closed):
    """A finding of `telltale rules check`, with its place in the document."""

    code: Annotated[str, Field(max_length=16)]
    """Such as TT101; docs/diagnostics.md says what each means."""
    severity: Literal["error", "warning"] = "error"
    line: int
    """From 1, of the text that was applied."""
    column: int
    """From 1, in characters."""
    path: Annotated[str, Field(max_length=1_024)] = ""
    """Such as spec.when."""
    message: Annotated[str, Field(max_length=8_192)]
    hint: Annotated[str, Field(max_length=8_192)] | None = None


class DocumentStatus(Closed):
    """The status subresource of every kind but RulePipeline."""

    observed_generation: int | None = None
    """The metadata.generation that this status is about."""
    revision: int | None = None
    """The revision of the rule set with which the document, as it is now, began to run."""
    workers: Annotated[str, Field(max_length=32)] | None = None
    """How many workers run that revision or a later one, of how many: 3/3."""
    conditions: Annotated[Many[Condition], Field(max_length=10)] = ()
    """Accepted: the document is right. Ready: every worker runs it."""
    errors: Annotated[Many[Problem], Field(max_length=MOST_ERRORS)] = ()
    """What is wrong, or might be meant otherwise; the last good version goes on running."""


class RuleStatus(DocumentStatus):
    """The status subresource of the kinds that alert."""

    firing: int | None = None
    """Alerts of the rule that fire now."""
