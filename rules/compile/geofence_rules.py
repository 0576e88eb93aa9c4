"""A geofence rule, compiled: the fences that it names or selects, and what it tells and does.

Its texts and payloads tell of the event: `vehicle.id`, `fence`, `event`, `visitSeconds` at an exit, `value`
(the speed) when the vehicle is too fast; and what the registry says. They know no signals.
"""

from collections.abc import Mapping

from rules.compile.actions import compiled_actions
from rules.compile.exceptions import Exceptions
from rules.compile.parts import Part, Vocabulary
from rules.documents import NUMERIC, GeofenceRule, Placed, did_you_mean, quote, tenant_of
from rules.documents.geofence_rule import SpeedLimit as WrittenLimit
from rules.engine.ruleset import FenceRule, SpeedLimit
from rules.language import DOUBLE, STRING, Environment

_FACTS = {"fence": STRING, "event": STRING, "visitSeconds": DOUBLE, "value": DOUBLE}


def geofence_rule(
    vocabulary: Vocabulary, placed: Placed[GeofenceRule], labels: Mapping[str, Mapping[str, str]]
) -> FenceRule | None:
    """Compile one rule; None after an error, which is noted. `labels` are those of each fence, by name."""
    spec = placed.document.spec
    part = Part(vocabulary, placed)
    fences = _fences(part, labels)
    speed_limit = None if spec.speed_limit is None else _speed_limit(part, spec.speed_limit)
    facts = Environment({}, {}, _FACTS, vocabulary.named.values()).naming((), vocabulary.used)
    annotations = part.texts(facts, spec.annotations, ("spec", "annotations"))
    actions = compiled_actions(part, facts, spec.actions)
    vehicles = part.vehicles(spec.vehicles)
    exceptions = Exceptions(part, vocabulary.selector())
    if exceptions and part.is_right:
        vehicles = exceptions.unless(
            vocabulary.selector(), part.selecting(spec.vehicles) or "true", ("spec", "vehicles")
        )
    if not part.is_right or any(placed.document.findings()):
        return None
    name = placed.document.metadata.name
    return FenceRule(
        name=name,
        fences=fences,
        events=frozenset(spec.events),
        enter_after_ms=spec.enter_after_ms,
        exit_after_ms=spec.exit_after_ms,
        dwell_ms=spec.dwell_ms,
        stale_after_ms=spec.position_stale_after_ms,
        exit_buffer_meters=spec.exit_buffer_meters,
        max_accuracy_meters=spec.max_accuracy_meters,
        speed_limit=speed_limit,
        severity=spec.severity,
        labels=dict(spec.labels),
        annotations=annotations,
        actions=actions,
        vehicles=vehicles,
        lineage=vocabulary.lineage(name),
    )


def _fences(part: Part, labels: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """The fences, in the order of their names."""
    selector = part.placed.document.spec.fences
    seen = part.vocabulary.seen
    for index, name in enumerate(selector.names):
        if name not in seen:
            hint = did_you_mean(name, seen) or "load its Geofence with the rules"
            path = ("spec", "fences", "names", index)
            part.find("TT210", path, f"undeclared fence {quote(name)}", hint=hint)
    if selector.names:
        return tuple(sorted({seen[name] for name in selector.names if name in seen}))
    wanted = selector.match_labels.items()
    ours = ("", part.placed.document.metadata.tenant)
    among = {name for name in seen.values() if tenant_of(name) in ours}
    found = tuple(sorted(name for name in among if wanted <= labels[name].items()))
    if wanted and not found:
        message = "no fence of this set has these labels"
        part.find("TT213", ("spec", "fences", "matchLabels"), message, severity="warning")
    return found


def _speed_limit(part: Part, written: WrittenLimit) -> SpeedLimit | None:
    catalog = part.vocabulary.catalog
    signals = catalog.spec.signals
    name = catalog.aliases.get(written.signal, written.signal)
    if name not in signals or signals[name].type not in NUMERIC:
        what = "is no signal of the catalog" if name not in signals else "is not a number"
        hint = did_you_mean(written.signal, [*signals, *catalog.aliases]) if name not in signals else None
        path = ("spec", "speedLimit", "signal")
        part.find("TT214", path, f"{quote(written.signal)} {what}", hint=hint)
        return None
    return SpeedLimit(name, written.limit, written.for_ms)
