"""An alert rule with `absentFor`, compiled: whose silence it is about, and what is told of it."""

from rules.compile.actions import compiled_actions
from rules.compile.alert_rules import ladder_of, value_of
from rules.compile.exceptions import Exceptions
from rules.compile.parts import Part, Vocabulary
from rules.documents import AbsentFor, AlertRule, Placed, did_you_mean, quote
from rules.engine.ruleset import Absence


def absence_rule(vocabulary: Vocabulary, placed: Placed[AlertRule]) -> Absence | None:
    """Compile one rule; None after an error, which is noted in the vocabulary."""
    spec = placed.document.spec
    part = Part(vocabulary, placed)
    vehicles = part.vehicles(spec.vehicles)
    names = vocabulary.selector()
    exceptions = Exceptions(part, names)
    if exceptions and part.is_right:
        vehicles = exceptions.unless(names, part.selecting(spec.vehicles) or "true", ("spec", "vehicles"))
    signals = frozenset[str]() if spec.absent_for is None else _signals(part, spec.absent_for)
    ladder = tuple(ladder_of(part))
    value = value_of(part, None)
    texts = vocabulary.environment() if value is None else vocabulary.environment(value=value.type)
    annotations = part.texts(texts, spec.annotations, ("spec", "annotations"))
    actions = compiled_actions(part, texts, spec.actions)
    if spec.absent_for is None or not part.is_right or any(placed.document.findings()):
        return None
    name = placed.document.metadata.name
    return Absence(
        name=name,
        signals=signals,
        duration_ms=spec.absent_for.duration_ms,
        keep_ms=spec.keep_firing_for_ms,
        cooldown_ms=spec.cooldown_ms,
        ladder=ladder,
        value=value,
        labels=dict(spec.labels),
        annotations=annotations,
        actions=actions,
        vehicles=vehicles,
        lineage=vocabulary.lineage(name),
    )


def _signals(part: Part, absent_for: AbsentFor) -> frozenset[str]:
    """The signals by the catalog's names; empty for any message at all."""
    catalog = part.vocabulary.catalog
    found = set()
    for index, word in enumerate(absent_for.signals or ()):
        name = catalog.aliases.get(word, word)
        if name in catalog.spec.signals:
            found.add(name)
            continue
        path = ("spec", "absentFor", "signals", index)
        hint = did_you_mean(word, [*catalog.spec.signals, *catalog.aliases])
        part.find("TT207", path, f"undeclared signal {quote(word)}", hint=hint)
    return frozenset(found)
