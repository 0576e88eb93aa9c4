"""Which rules of a set are shadows, and for which share of the vehicles the set is a candidate.

The engine knows rules by their names, so that a name is in shadow or is not: rules of two kinds that share
one have one mode.
"""

from collections.abc import Iterator

from rules.documents import Diagnostic, Document, Loaded, Placed, quote
from rules.documents.mode import Moded
from rules.engine import Limits, Rollout


def shadows_of(loaded: Loaded) -> frozenset[str]:
    """The names of the rules that act on nothing."""
    return frozenset(placed.document.metadata.name for placed, mode in _moded(loaded) if mode == "shadow")


def two_modes(loaded: Loaded) -> Iterator[Diagnostic]:
    """Yield rules that share a name with one of another kind and another mode."""
    first: dict[str, tuple[Placed[Document], str]] = {}
    for placed, mode in _moded(loaded):
        name = placed.document.metadata.name
        other, its_mode = first.setdefault(name, (placed, mode))
        if its_mode != mode:
            message = f"a rule of another kind is called {quote(name)} too, and is not in this mode"
            path = ("spec", "mode") if placed.node(("spec", "mode")) is not None else ("metadata", "name")
            hint = f"it is at {other.place(('metadata', 'name'))}: rename one of them"
            yield placed.diagnostic("TT216", path, message, hint=hint)


def rollout_of(loaded: Loaded) -> Rollout | None:
    """The share of vehicles, and what would end the candidate."""
    placed = loaded.rollout
    if placed is None:
        return None
    spec, limits = placed.document.spec, placed.document.spec.roll_back_if
    return Rollout(
        spec.percent,
        spec.salt,
        Limits(
            limits.after_events,
            limits.fire_ratio_above,
            limits.fire_ratio_below,
            limits.error_rate_above,
            limits.cost_ratio_above,
        ),
    )


def _moded(loaded: Loaded) -> Iterator[tuple[Placed[Document], str]]:
    for placed in loaded.running:
        spec = getattr(placed.document, "spec", None)
        if isinstance(spec, Moded):
            yield placed, spec.mode
