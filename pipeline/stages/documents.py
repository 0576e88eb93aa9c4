"""The rule documents that a stage starts with: all of them right, or no start at all."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from pipeline.process.failures import ConfigurationError
from rules import Diagnostic, Loaded, RuleSet, SignalCatalog, compile_rules, load


def library() -> Path:
    """The directory of the rules that ship."""
    return Path(str(files("rules"))) / "library"


def load_documents(paths: Sequence[Path]) -> Loaded:
    """Read rule files; without paths, the library. Raises ConfigurationError with every finding."""
    loaded = load(paths or (library(),))
    refuse(loaded.diagnostics)
    return loaded


def load_rules(paths: Sequence[Path]) -> RuleSet:
    """Read and compile rule files. Raises ConfigurationError with every finding of both."""
    rules = compile_rules(load(paths or (library(),)))
    if isinstance(rules, RuleSet):
        return rules
    refuse(rules)
    raise AssertionError("compile_rules gave neither a rule set nor an error")


def load_catalog(paths: Sequence[Path]) -> SignalCatalog:
    """The one catalog among rule files. Raises ConfigurationError."""
    catalog = load_documents(paths).catalog
    if catalog is None:
        raise ConfigurationError("rules: a SignalCatalog is needed, and there is none")
    return catalog.document


def refuse(diagnostics: Sequence[Diagnostic]) -> None:
    """Raise ConfigurationError with every finding that is an error, if there is one."""
    errors = [diagnostic.format() for diagnostic in diagnostics if diagnostic.severity == "error"]
    if errors:
        raise ConfigurationError("the rules are wrong", errors)
