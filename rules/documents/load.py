"""Files become documents: the one module of the package that opens any.

A directory is a rule set: its `*.yaml`, `*.yml` and `*.geojson`, recursively, in the order of their names. A
subdirectory with a `catalog.yaml` of its own is another set, with another vocabulary, and is left out
(`Loaded.left_out` names it). A file that is named itself is read whatever its suffix, a VSS export (`.json`)
too. Hidden entries are passed over: a mounted ConfigMap keeps a second copy of its files in one. So are
`*.test.yaml` and `*.test.yml` unless tests are asked for: what runs in production does not stop at a fault in
a test.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from rules.documents.diagnostics import Diagnostic
from rules.documents.parse import Loaded, Source, parse
from rules.documents.yaml_reader import LONGEST_BYTES

SUFFIXES = (".yaml", ".yml", ".geojson")
TEST_SUFFIXES = (".test.yaml", ".test.yml")
_CATALOG_FILES = ("catalog.yaml", "catalog.yml")


def load(paths: Iterable[str | Path], *, tests: bool = False) -> Loaded:
    """Return the documents under `paths`, one rule set, with everything that is wrong with them.

    `tests` asks for the test files of directories, too.
    """
    diagnostics: list[Diagnostic] = []
    left_out: list[str] = []
    sources: list[Source] = []
    seen: set[Path] = set()
    for path in map(Path, paths):
        for file in _files(path, diagnostics, left_out):
            if not tests and file != path and file.name.endswith(TEST_SUFFIXES):
                continue
            identity = _identity(file)
            if identity not in seen:
                seen.add(identity)
                sources.extend(_read(file, diagnostics))
    loaded = parse(sources)
    return replace(loaded, diagnostics=(*diagnostics, *loaded.diagnostics), left_out=tuple(left_out))


def _files(path: Path, diagnostics: list[Diagnostic], left_out: list[str]) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    before = len(diagnostics)
    found = False
    for file in _walk(path, diagnostics, left_out):
        found = True
        yield file
    if not found and len(diagnostics) == before:
        diagnostics.append(
            _unreadable("TT009", path, "no *.yaml, no *.yml and no *.geojson in this directory")
        )


def _walk(directory: Path, diagnostics: list[Diagnostic], left_out: list[str]) -> Iterator[Path]:
    try:
        entries = sorted(entry for entry in directory.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        diagnostics.append(_unreadable("TT008", directory, _reason(error)))
        return
    for entry in entries:
        if entry.is_dir():
            if entry.is_symlink():
                continue  # a link upwards would never end
            if any((entry / name).exists() for name in _CATALOG_FILES):
                left_out.append(str(entry))
            else:
                yield from _walk(entry, diagnostics, left_out)
        elif entry.suffix in SUFFIXES:
            yield entry


def _read(file: Path, diagnostics: list[Diagnostic]) -> Iterator[Source]:
    try:
        with file.open("rb") as stream:
            content = stream.read(LONGEST_BYTES + 1)
        yield Source(str(file), content.decode("utf-8"))
    except UnicodeDecodeError as error:
        if len(content) <= LONGEST_BYTES:
            line = content.count(b"\n", 0, error.start) + 1
            column = (
                len(content[content.rfind(b"\n", 0, error.start) + 1 : error.start].decode(errors="replace"))
                + 1
            )
            message = "the file is not UTF-8 from here on"
            diagnostics.append(
                Diagnostic("TT008", "error", str(file), line, column, "", message, "save it as UTF-8")
            )
        else:  # cut in the middle of a character
            yield Source(str(file), content.decode("utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        diagnostics.append(_unreadable("TT008", file, _reason(error)))


def _identity(file: Path) -> Path:
    try:
        return file.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
        return file


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _unreadable(code: str, path: Path, message: str) -> Diagnostic:
    return Diagnostic(code, "error", str(path), 0, 0, "", message)
