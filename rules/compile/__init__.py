"""From documents to a rule set that runs, or to every finding at once.

Expressions are compiled against the one catalog of the set; what depends on more than one field of a rule
(`changed` under `for`, a hold that is longer than its signal lives) is judged here, too. A set with an error
is refused whole: the last good one goes on running.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from rules.compile.absence_rules import absence_rule
from rules.compile.aggregation_rules import aggregation_rule
from rules.compile.alert_rules import alert_rule
from rules.compile.fences import far_fences, fences_of, positionless
from rules.compile.geofence_rules import geofence_rule
from rules.compile.parameters import note_unused, with_parameters, words_of
from rules.compile.parts import Vocabulary
from rules.compile.rollouts import rollout_of, shadows_of, two_modes
from rules.compile.sequence_rules import sequence_rule
from rules.compile.tenants import add_tenants
from rules.documents import AlertRule, Diagnostic, Document, Loaded, Placed, RuleTest, SignalCatalog
from rules.engine import Rule, RuleSet, Signal
from rules.engine.ruleset import Absence, Aggregation, FenceRule, Pattern
from rules.geometry import Shape

D = TypeVar("D", bound=Document)
R = TypeVar("R")

__all__ = ["compile_rules", "fingerprint", "vocabulary_of", "with_parameters"]


def compile_rules(
    loaded: Loaded, revision: int = 1, lineages: Mapping[str, int] | None = None
) -> RuleSet | list[Diagnostic]:
    """Compile all rules of a set; the list of all findings, those of loading included, if one is an error.

    `lineages` gives, for each rule whose state did not begin at revision 1, the revision at which it did.
    """
    findings = list(loaded.diagnostics)
    catalog = loaded.catalog
    rules: list[Rule] = []
    sequences: list[Pattern] = []
    absences: list[Absence] = []
    aggregations: list[Aggregation] = []
    fences: Mapping[str, Shape] = {}
    fence_labels = {it.document.metadata.name: it.document.metadata.labels for it in loaded.geofences}
    fence_rules: list[FenceRule] = []
    if catalog is not None:
        fences = fences_of(loaded)
        vocabulary = vocabulary_of(loaded, catalog.document, fences, lineages or {})
        alert_rules = loaded.alert_rules
        rules = _compiled(vocabulary, [it for it in alert_rules if not _is_absence(it)], alert_rule)
        absences = _compiled(vocabulary, [it for it in alert_rules if _is_absence(it)], absence_rule)
        sequences = _compiled(vocabulary, loaded.sequence_rules, sequence_rule)
        aggregations = _compiled(vocabulary, loaded.aggregation_rules, aggregation_rule)
        fence_rules = _compiled(
            vocabulary, loaded.geofence_rules, partial(geofence_rule, labels=fence_labels)
        )
        findings += [*vocabulary.findings, *far_fences(loaded)]
        findings += positionless(catalog, fences)
    findings += two_modes(loaded)
    if any(finding.severity == "error" for finding in findings):
        return findings
    signals = {} if catalog is None else catalog.document.spec.signals
    return RuleSet(
        signals={name: Signal(name, signal.stale_after_ms) for name, signal in signals.items()},
        rules=tuple(rules),
        revision=revision,
        fingerprint=fingerprint(loaded),
        catalog=None if catalog is None else catalog.document,
        warnings=tuple(findings),
        sequences=tuple(sequences),
        absences=tuple(absences),
        aggregations=tuple(aggregations),
        fences=fences,
        fence_labels=fence_labels,
        fence_rules=tuple(fence_rules),
        shadows=shadows_of(loaded),
        rollout=rollout_of(loaded),
    )


def vocabulary_of(
    loaded: Loaded, catalog: SignalCatalog, fences: Mapping[str, Shape], lineages: Mapping[str, int]
) -> Vocabulary:
    """Return what the expressions of a set may name; what is wrong with it is among its findings."""
    vocabulary = Vocabulary(
        catalog, lineages, fences, words=words_of(loaded.running), seen={name: name for name in fences}
    )
    add_tenants(vocabulary, loaded)
    return vocabulary


def _is_absence(placed: Placed[AlertRule]) -> bool:
    return placed.document.spec.absent_for is not None


def _compiled(
    vocabulary: Vocabulary,
    rules: Sequence[Placed[D]],
    compile_one: Callable[[Vocabulary, Placed[D]], R | None],
) -> list[R]:
    """Compile the rules of one kind, each with the words that it brings; those that are right."""
    found = []
    for placed in rules:
        before = len(vocabulary.findings)
        own = with_parameters(vocabulary, placed)
        rule = compile_one(own, placed)
        if rule is not None:
            found.append(rule)
            if all(finding.severity == "warning" for finding in vocabulary.findings[before:]):
                note_unused(own, placed)
    return found


def fingerprint(loaded: Loaded) -> str:
    """A hash of what the documents say: the order of documents and keys, comments and files do not count.

    Nor do tests: they say nothing about what runs.
    """
    texts = sorted(
        json.dumps(placed.document.as_written(), sort_keys=True, ensure_ascii=False)
        for placed in loaded.documents
        if not isinstance(placed.document, RuleTest)
    )
    return hashlib.blake2b("\n".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
