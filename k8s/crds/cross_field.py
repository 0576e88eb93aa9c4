"""What a schema says of several fields together, in CEL, with the words that a person reads.

By the name of the model; a rule's `self` is a value of the model. What `parse` says of the same mistake has a
code and more words: these rules are for clusters without the webhook. Fields of several types (expressions,
which are texts or booleans) are not visible to CEL in a cluster, so nothing here speaks of them.
"""

from typing import Any, NamedTuple


class CrossField(NamedTuple):
    """`rule` holds, or `message` is told, at `field` if one is named."""

    rule: str
    message: str
    field: str | None = None

    def written(self) -> dict[str, Any]:
        """As Kubernetes reads it."""
        place = {} if self.field is None else {"fieldPath": self.field}
        return {"rule": self.rule, "message": self.message, **place}


_ACTION = CrossField(
    "has(self.command) != has(self.publish)", "an action is exactly one of command and publish"
)

CROSS_FIELD: dict[str, tuple[CrossField, ...]] = {
    "Action": (_ACTION,),
    "FenceAction": (_ACTION,),
    "ActionsChange": (
        CrossField(
            "has(self.append) != has(self.replace)", "the actions are exactly one of append and replace"
        ),
    ),
    "Window": (
        CrossField(
            "[has(self.tumbling), has(self.hopping), has(self.sliding), has(self.session), "
            "has(self.calendar)].filter(given, given).size() == 1",
            "a window is exactly one of tumbling, hopping, sliding, session and calendar",
        ),
        CrossField("has(self.every) == has(self.hopping)", "hopping windows have an every, others have none"),
        CrossField(
            "!has(self.timeZone) || has(self.calendar)", "only calendar windows have a time zone", ".timeZone"
        ),
    ),
    "GeofenceSpec": (
        CrossField(
            "[has(self.geometry), has(self.circle), has(self.corridor)].filter(given, given).size() == 1",
            "a fence has exactly one of geometry, circle and corridor",
        ),
    ),
    "FenceSelector": (
        CrossField(
            "(has(self.names) && self.names.size() > 0)"
            " != (has(self.matchLabels) && self.matchLabels.size() > 0)",
            "a rule names its fences, or says which labels they have: exactly one of the two",
        ),
    ),
    "GeofenceRuleSpec": (
        CrossField(
            "has(self.dwell) == (has(self.events) && 'dwell' in self.events)",
            "dwell and its time go together: events: [dwell], dwell: 15m",
        ),
    ),
    "Signal": (
        CrossField("!has(self.min) || !has(self.max) || self.min <= self.max", "min is at most max", ".min"),
        CrossField(
            "!has(self.type) || !(self.type in ['boolean', 'string']) || !(has(self.min) || has(self.max))",
            "only numbers have min and max",
        ),
    ),
}
