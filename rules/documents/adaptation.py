"""Adaptation: another document's rule, with other values.

The rule stays where it is and goes on being maintained there; what is said here takes the place of what it
says. Two adaptations may add to one rule, never contradict each other: the order of documents has no meaning.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from rules.documents.alert_rule import Action, Rung, Severity
from rules.documents.closed import (
    Actions,
    Closed,
    Document,
    Finding,
    Many,
    Name,
    Template,
    exactly_one,
    told,
)
from rules.documents.definitions import Scalar
from rules.documents.exceptions import Row
from rules.documents.geofence_rule import FenceAction
from rules.documents.mode import Mode


class ActionsChange(Closed):
    """Exactly one of the two."""

    model_config = ConfigDict(json_schema_extra=exactly_one("append", "replace"))

    append: Actions[Action | FenceAction] | None = None
    """Actions after those of the rule."""
    replace: Actions[Action | FenceAction] | None = None
    """Actions instead of those of the rule."""

    elsewhere: ClassVar = {"add": "append", "set": "replace"}


class AdaptationSpec(Closed):
    """See docs/reuse.md, which describes each field."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    rule: Name
    """The rule's name."""
    enabled: bool = True
    """False: the rule does not run."""
    mode: Mode | None = None
    """Another mode."""
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    """Other values of the rule's parameters."""
    severity: Annotated[Severity | Many[Rung] | None, told(minItems=1, maxItems=3)] = None
    """Another severity or ladder."""
    labels: dict[str, str] = Field(default_factory=dict)
    """More labels, or others."""
    annotations: dict[str, Template] = Field(default_factory=dict)
    """More annotations, or others."""
    actions: ActionsChange | None = None
    """More actions, or others."""
    exceptions: dict[str, Many[Row]] = Field(default_factory=dict)
    """Rows for the rule's exceptions, by their names."""

    elsewhere: ClassVar = {
        "values": "parameters",
        "name": "rule",
        "disabled": "enabled",
        "when": "parameters",
        "for": "parameters",
    }


class Adaptation(Document):
    """What is other about one rule here."""

    kind: Literal["Adaptation"] = "Adaptation"
    spec: AdaptationSpec

    def findings(self) -> Iterator[Finding]:
        """Yield an adaptation that does nothing, or two things at once."""
        spec = self.spec
        if spec.model_fields_set <= {"rule"}:
            message = "this adaptation changes nothing"
            yield Finding("TT093", ("spec",), message, "for example: parameters: {limit: 120}")
        if spec.actions is not None and (spec.actions.append is None) == (spec.actions.replace is None):
            message = "the actions are exactly one of append and replace"
            yield Finding("TT093", ("spec", "actions"), message, "actions: {append: [...]}")
