"""What a linter can know of a rule set that compiles: warnings, each with its place.

Types, names and forms are the compiler's. Here is what a rule may well be and is hardly meant to be.
"""

from rules.compile import vocabulary_of, with_parameters
from rules.compile.fences import fences_of
from rules.documents import Diagnostic, Loaded
from rules.lint.checks import lint_rule
from rules.lint.declared import lint_names
from rules.lint.expressions import Linted
from rules.lint.truth import Truth
from rules.lint.units import Units

__all__ = ["lint"]


def lint(loaded: Loaded) -> list[Diagnostic]:
    """The warnings about a set that has no error, in the order of its documents."""
    catalog = loaded.catalog
    if catalog is None:
        return []
    vocabulary = vocabulary_of(loaded, catalog.document, fences_of(loaded), {})
    truth, units = Truth(catalog.document), Units(catalog.document)
    findings: list[Diagnostic] = []
    for placed in loaded.running:
        if type(placed.document).__name__.endswith("Rule"):
            linted = Linted(with_parameters(vocabulary, placed), placed)
            lint_rule(linted, truth, units)
            lint_names(linted, catalog.document)
            findings += linted.findings
    return findings
