"""`telltale init` and `telltale rules new`: rules to begin with, copied from the library that ships.

Nothing that is there is ever overwritten. A copy brings its tests, under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import rules
from pipeline.process.failures import ConfigurationError
from rules import RuleSet, compile_rules
from rules.documents import Diagnostic, Loaded, did_you_mean, load
from rules.documents.closed import NAME_PATTERN
from rules.engine.memory import layout_of
from rules.testing import only, suite

LIBRARY = Path(rules.__file__).parent / "library"
SETS = (LIBRARY, LIBRARY / "operations")
"""Each with a catalog of its own; those for recorded traces are for nothing else."""
STARTER = ("catalog.yaml", "overspeed.yaml", "overspeed.test.yaml")


@dataclass(frozen=True, slots=True)
class Started:
    """What was written into a directory, and what was there already and is as it was."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Shipped:
    """A rule of the library; `sentence` says for whom it is."""

    name: str
    sentence: str
    file: Path

    @property
    def test(self) -> Path:
        """Its tests."""
        return self.file.with_suffix(".test.yaml")


@dataclass(frozen=True, slots=True)
class Copied:
    """A rule that was copied, and what it reads that the catalog beside it does not have."""

    written: tuple[Path, ...]
    missing: tuple[str, ...]
    """Lines for `spec.signals` of the catalog."""
    findings: tuple[Diagnostic, ...]
    """What else does not fit, a fence that is not there for example."""


def start(directory: Path) -> Started:
    """Write a catalog, a rule and its tests, where they are not there yet. Raises ConfigurationError."""
    written, kept = [], []
    for name in STARTER:
        file = directory / name
        if file.exists():
            kept.append(file)
        else:
            _write(file, (LIBRARY / name).read_text(encoding="utf-8"))
            written.append(file)
    return Started(tuple(written), tuple(kept))


def shipped() -> list[Shipped]:
    """The rules of the library, by name."""
    found = []
    for placed in (each for directory in SETS for each in load([directory]).documents):
        if type(placed.document).__name__.endswith("Rule"):
            first, *_ = placed.text.splitlines()
            sentence = first.removeprefix("#").strip()
            found.append(Shipped(placed.document.metadata.name, sentence, Path(placed.file)))
    return sorted(found, key=lambda it: it.name)


def copy_rule(directory: Path, source: str, name: str) -> Copied:
    """Write a copy of a shipped rule, and of its tests. Raises ConfigurationError where that cannot be."""
    library = {it.name: it for it in shipped()}
    if source not in library:
        hint = did_you_mean(source, library) or f"there are {', '.join(library)}"
        raise ConfigurationError(f"--from {source}: no rule of that name ships; {hint}")
    if not re.match(NAME_PATTERN, name):
        raise ConfigurationError(f"--name {name}: lower-case letters, digits and dashes, at most 63")
    model = library[source]
    texts = {directory / f"{name}.yaml": model.file, directory / f"{name}.test.yaml": model.test}
    texts = {file: original for file, original in texts.items() if original.exists()}
    there = [file for file in texts if file.exists()]
    if there:
        raise ConfigurationError(f"{there[0]} is there already: give the copy another --name")
    beside = load([directory]) if directory.is_dir() else Loaded()
    taken = [it for it in beside.documents if it.document.metadata.name == name]
    if taken:
        raise ConfigurationError(
            f"{taken[0].file} has a rule of the name {name}: give the copy another --name"
        )
    for file, original in texts.items():
        _write(file, original.read_text(encoding="utf-8").replace(source, name))
    missing = tuple(_missing(beside, model))
    return Copied(tuple(texts), missing, () if missing else _findings(directory, texts))


def _findings(directory: Path, files: Collection[Path]) -> tuple[Diagnostic, ...]:
    found = suite(load([directory], tests=True))
    names = set(map(str, files))
    return tuple(it for it in (found if isinstance(found, list) else found.warnings) if it.file in names)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror or error}") from None


def _missing(beside: Loaded, model: Shipped) -> Iterator[str]:
    """The catalog's lines for signals that the rule reads and that the catalog beside it does not have."""
    library = load([model.file.parent])
    catalog, compiled = library.catalog, compile_rules(library)
    assert isinstance(compiled, RuleSet), "what ships is right"
    assert catalog is not None, "and has a catalog"
    known = set() if beside.catalog is None else beside.catalog.document.spec.signals.keys()
    for name in layout_of(only(compiled, frozenset([model.name]))).names:
        if name in catalog.document.spec.signals.keys() - known:
            node = catalog.root
            for step in ("spec", "signals", name):
                node = node.value[step]
            yield f"{name}: {' '.join(catalog.text[node.start : node.end].split())}"
