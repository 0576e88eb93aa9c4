"""A place inside a scalar is that character's place in the author's file, however the scalar is written."""

from pathlib import Path

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rules import compile_rules
from rules.documents import Placed, Source, parse
from rules.documents.yaml_reader import read_yaml

FILES = Path(__file__).parent / "files"
PATH = ("outer", "text")


def placed(text):
    (root,), _ = read_yaml(text)
    return Placed(root.plain(), "a.yaml", root, text)


def test_a_value_and_its_key_have_places():
    document = placed("a: 1\nb:\n  - c: {'d e': x}\n")
    assert document.position() == (1, 1)
    assert document.position(("b", 0, "c", "d e")) == (3, 16)
    assert document.position(("b", 0, "c", "d e"), of_key=True) == (3, 9)
    assert document.position(("b", 0, "missing", "deeper")) == (3, 5)
    assert document.position(("b", 7)) == (3, 3)


@pytest.mark.parametrize(
    ("text", "line", "column", "place"),
    [
        pytest.param("outer:\n  text: a > b\n", 1, 5, (2, 13), id="plain"),
        pytest.param("outer:\n  text: 'a > b'\n", 1, 5, (2, 14), id="single-quotes"),
        pytest.param("outer:\n  text: 'it''s b'\n", 1, 6, (2, 16), id="doubled-quote"),
        pytest.param('outer:\n  text: "\\"\\u0061\\" b"\n', 1, 5, (2, 21), id="escapes"),
        pytest.param("outer:\n  text: |\n    a >\n      b\n", 2, 3, (4, 7), id="literal"),
        pytest.param("outer:\n  text: |2-\n      a\n", 1, 3, (3, 7), id="literal-with-indent"),
        pytest.param("outer:\n  text: >-\n    a >\n    b\n", 1, 5, (4, 5), id="folded"),
        pytest.param("outer:\n  text: >- # why\n\n    a\n", 2, 1, (4, 5), id="folded-after-comment"),
        pytest.param("outer:\n  text: a >\n    b\n", 1, 5, (3, 5), id="plain-over-lines"),
        pytest.param('outer:\n  text: "a \\\n    b"\n', 1, 3, (3, 5), id="escaped-line-end"),
        pytest.param("outer:\n  text: a > b\n", 1, 6, (2, 14), id="end"),
        pytest.param("outer:\n  text: a > b\n", 9, 99, (2, 14), id="beyond"),
        pytest.param("outer:\r\n  text: |\r\n    a >\r\n    b\r\n", 2, 1, (4, 5), id="crlf"),
        pytest.param("outer: &x\n  text: &y a > b\n", 1, 5, (2, 16), id="anchor"),
        pytest.param("outer:\n  text: !!str a > b\n", 1, 5, (2, 19), id="tag"),
        pytest.param("outer:\n  text: !!str &y # why\n    'a > b'\n", 1, 5, (3, 10), id="tag-and-anchor"),
        pytest.param("outer:\n  text: &y |\n    a > b\n", 1, 5, (3, 9), id="anchored-literal"),
    ],
)
def test_a_place_in_a_text_is_found_in_the_file(text, line, column, place):
    assert placed(text).text_position(PATH, line, column) == place


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Co", "Cn"]) | st.just("\n")
)
PRINTABLE = TEXTS.filter(lambda text: "\x85" not in text and "\ufeff" not in text and not text.isspace())


@given(PRINTABLE, st.sampled_from([None, "'", '"', "|", ">"]), st.integers(12, 60), st.booleans())
@example("a 'b' \"c\"\n\n  d", ">", 20, False)
@example("a b c d e f g h i j k l m", '"', 12, True)
def test_every_character_of_a_text_has_its_place(value, style, width, with_unicode):
    text = yaml.dump({"outer": {"text": value}}, default_style=style, width=width, allow_unicode=with_unicode)
    document = placed(text)
    assume(document.document == {"outer": {"text": value}})  # not null, 12 and true
    lines = text.split("\n")
    for number, line in enumerate(value.split("\n"), 1):
        for column, character in enumerate(line, 1):
            if character.isspace():
                continue
            at_line, at_column = document.text_position(PATH, number, column)
            rest = lines[at_line - 1][at_column - 1 :]
            assert rest[0] == character or rest[0] == "\\"


def test_a_finding_in_an_expression_points_at_the_authors_character():
    """The file's first lines expect places and codes; the words are the language's own."""
    text = (FILES / "placed-expressions.yaml").read_text(encoding="utf-8")
    expected = [line.removeprefix("#> ") for line in text.split("\n") if line.startswith("#> ")]
    catalog = (FILES / "catalog.yaml").read_text(encoding="utf-8")
    findings = compile_rules(parse([Source("catalog.yaml", catalog), Source("rules.yaml", text)]))
    assert isinstance(findings, list)
    found = [f"{each.line}:{each.column}: {each.severity}[{each.code}] {each.path}" for each in findings]
    assert sorted(found) == sorted(expected)
