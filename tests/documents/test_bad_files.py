"""Each `*.bad.yaml` has exactly the findings that its first lines expect; its good twin has none.

A line `#> 5:3: error[TT021] …` is a finding as a person reads it, without the file's name. A file is read
with catalog.yaml beside it, unless it brings a catalog of its own or is about having none.
"""

from pathlib import Path

import pytest

from rules.documents import CODES, Source, parse
from rules.language import CODES as LANGUAGE_CODES
from rules.lint import lint
from rules.testing import suite

FILES = Path(__file__).parent / "files"
BAD = sorted(FILES.glob("*.bad.yaml"))
GOOD = sorted(FILES.glob("*.good.yaml"))
CATALOG = Source("catalog.yaml", (FILES / "catalog.yaml").read_text(encoding="utf-8"))
SHOWN_ELSEWHERE = {
    "TT008": "test_load.py",
    "TT040": "test_vss.py",
    "TT041": "test_vss.py",
    "TT249": "test_fuzz.py",
    "TT067": "test_geojson.py",
}


def diagnostics_of(file):
    source = Source(file.name, file.read_text(encoding="utf-8"))
    brings_its_own = "SignalCatalog" in source.text or file.name.startswith("no-catalog")
    loaded = parse([source] if brings_its_own else [CATALOG, source])
    found = suite(loaded)
    return tuple(found) if isinstance(found, list) else (*found.warnings, *lint(loaded))


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.name)
def test_a_bad_file_has_exactly_the_findings_that_it_expects(file):
    lines = file.read_text(encoding="utf-8").split("\n")
    expected = [line.removeprefix("#> ") for line in lines if line.startswith("#> ")]
    found = "\n".join(each.format() for each in diagnostics_of(file)).split("\n")
    assert [line.removeprefix(f"{file.name}:") for line in found] == expected


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.name)
def test_its_good_twin_has_none(file):
    assert diagnostics_of(file) == ()


def test_every_bad_file_has_a_good_twin():
    assert [file.name.replace(".bad.", ".good.") for file in BAD] == [file.name for file in GOOD]


def test_every_code_is_shown_by_a_bad_file():
    shown = {diagnostic.code for file in BAD for diagnostic in diagnostics_of(file)}
    assert shown | SHOWN_ELSEWHERE.keys() == CODES.keys() | LANGUAGE_CODES.keys()
    for code, name in SHOWN_ELSEWHERE.items():
        assert code in (FILES.parent / name).read_text(encoding="utf-8")
