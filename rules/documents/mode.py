"""Whether a rule acts: an active one does, a shadow is evaluated and recorded, and acts on nothing."""

from typing import ClassVar, Literal

from rules.documents.closed import Closed

Mode = Literal["active", "shadow"]


class Moded(Closed):
    """The part of a `spec` that every rule has."""

    mode: Mode = "active"
    """A shadow is evaluated and recorded on telltale.shadow, and acts on nothing."""

    later: ClassVar = {"rollout": "a set is rolled out, not a rule: telltale rules apply --percent 10"}
