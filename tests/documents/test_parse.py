"""Any text gives documents or at least one finding, never a traceback; findings are all there at once."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import rules
from rules import compile_rules
from rules.documents import AlertRule, SignalCatalog, Source, editor_schema, load, parse
from rules.documents.yaml_reader import read_yaml
from tests.documents.diagnostics_page import SCHEMA, schema_text

FILES = Path(__file__).parent / "files"
LIBRARY = Path(rules.__file__).parent / "library"
SHIPPED = sorted(LIBRARY.rglob("*.yaml"))
TEXTS = [file.read_text(encoding="utf-8") for file in SHIPPED]
PLAIN = [document.plain() for text in TEXTS for document in read_yaml(text)[0]]
CATALOG = (LIBRARY / "catalog.yaml").read_text(encoding="utf-8")
OVERSPEED = (LIBRARY / "overspeed.yaml").read_text(encoding="utf-8")


def is_told(text, name="any.yaml"):
    loaded = parse([Source(name, text)])
    assert loaded.documents or loaded.diagnostics
    for diagnostic in loaded.diagnostics:
        assert diagnostic.line >= 1
        assert diagnostic.column >= 1
        message, *hint = diagnostic.format().split("\n")
        assert message.startswith(f"{name}:{diagnostic.line}:")
        assert len(hint) <= 1
        assert len(message) < 1000


@given(st.text())
@example("apiVersion: telltale.dev/v1alpha1\nkind: AlertRule\nmetadata: x\nspec: []")
@example("apiVersion: telltale.dev/v1alpha1\nkind: AlertRule")
@example("apiVersion: [x]\nkind: {}")
@example("- apiVersion")
@example("\ud800")
def test_any_text_is_told(text):
    is_told(text)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
@example("{}")
@example("[" * 100_000)
@example('{"V": {"type": "branch", "children": []}}')
@example('{"V": {"type": "branch", "children": {"a": {"type": "sensor"}}}}')
@example('{"V": {"type": "branch", "children": {"a": {"type": "sensor", "datatype": "float", "min": NaN}}}}')
@example(
    '{"V": {"type": "branch", "children": {"a b": {"type": "sensor", "datatype": "float", "min": 1'
    + "0" * 400
    + "}}}}"
)
@example('{"V": {"type": "branch", "children": {"\\ud800": {"type": "sensor", "datatype": "float"}}}}')
def test_any_vss_export_is_told(text):
    is_told(text, "any.json")


FRAGMENTS = [*"'\"#|>~1[]{}é", "&a ", "*a", "on", "spec", "when", "severity", "<<", "!!str "]
FRAGMENTS += ["\n", " ", "- ", ": ", "\t", "---\n", "<<: {}", "critical: x", "\ud800"]


def slipped(text, data):
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.sampled_from(["", *FRAGMENTS])) + text[end:]
    return text


@given(st.sampled_from(TEXTS), st.data())
def test_any_slip_of_the_pen_is_told(text, data):
    is_told(slipped(text, data))


@given(st.sampled_from(TEXTS), st.data())
def test_any_slip_of_the_pen_compiles_or_is_told(text, data):
    compiled = compile_rules(
        parse([Source("catalog.yaml", CATALOG), Source("any.yaml", slipped(text, data))])
    )
    if isinstance(compiled, list):
        assert any(each.severity == "error" for each in compiled)
        assert all(each.format() for each in compiled)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-5, 5) | st.sampled_from(["", "x", "30s", "info"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["command", "x"]), inner),
    max_leaves=5,
)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@given(st.sampled_from(PLAIN), st.data())
def test_anything_in_place_of_any_value_is_told(document, data):
    document = json.loads(json.dumps(document))
    path = data.draw(st.sampled_from([*places(document)]))
    holder = root = {"": document}
    for key, following in pairwise(("", *path, None)):
        if following is None:
            holder[key] = data.draw(ANYTHING)
        holder = holder[key]
    is_told(json.dumps(root[""]))


def test_the_order_of_the_files_changes_no_document():
    sources = [Source(str(number), text) for number, text in enumerate([CATALOG, OVERSPEED])]
    forth, back = parse(sources), parse(reversed(sources))
    assert {placed.document.metadata.name for placed in forth.documents} == {"default", "overspeed"}
    assert sorted(str(p.document) for p in forth.documents) == sorted(str(p.document) for p in back.documents)
    assert forth.diagnostics == back.diagnostics == ()


def test_a_document_that_is_written_is_read_back():
    for directory in (LIBRARY, LIBRARY / "traces" / "obd"):
        documents = [placed.document for placed in load([directory]).documents]
        written = [Source(f"{n}.yaml", json.dumps(each.as_written())) for n, each in enumerate(documents)]
        assert [placed.document for placed in parse(written).documents] == documents


def test_a_key_of_python_is_no_key_of_yaml():
    text = OVERSPEED.replace("  for: ", "  for_ms: ")
    (finding,) = parse([Source("c.yaml", CATALOG), Source("r.yaml", text)]).errors
    assert (finding.code, finding.message) == ("TT021", "unknown field 'for_ms'")


def test_findings_of_all_files_come_at_once_in_the_order_of_their_places():
    loaded = parse(
        [
            Source(
                "b.yaml", OVERSPEED.replace("severity:", "severty:").replace('for: "{{ hold }}"', "for: 5")
            ),
            Source("a.yaml", CATALOG.replace("km/h, min: 0", "km/h, min: 351")),
            Source("c.yaml", "a: [1"),
        ]
    )
    assert [(each.file, each.code) for each in loaded.diagnostics] == [
        ("b.yaml", "TT024"),
        ("b.yaml", "TT021"),
        ("a.yaml", "TT030"),
        ("c.yaml", "TT001"),
    ]


def test_models_are_closed_and_frozen():
    loaded = load([LIBRARY])
    assert loaded.catalog is not None
    assert isinstance(loaded.catalog.document, SignalCatalog)
    assert all(isinstance(placed.document, AlertRule) for placed in loaded.alert_rules)
    with pytest.raises(ValueError, match="frozen"):
        loaded.alert_rules[0].document.spec.when = "true"


@cache
def editors_validator():
    Draft202012Validator.check_schema(editor_schema())
    return Draft202012Validator(editor_schema())


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_editors_schema_accepts_what_we_ship(file):
    for document in read_yaml(file.read_text(encoding="utf-8"))[0]:
        assert list(editors_validator().iter_errors(document.plain())) == []


def test_the_editors_schema_is_the_one_that_is_published():
    """`python -m tests.documents.diagnostics_page` writes it anew; a reviewer reads the difference."""
    assert SCHEMA.read_text(encoding="utf-8") == schema_text()


def test_the_editors_schema_tells_what_fields_mean():
    properties = editor_schema()["$defs"]["rules__documents__alert_rule__Command"]["properties"]
    assert "later the command is not delivered" in properties["expiresAfter"]["description"]
    assert "title" not in properties["expiresAfter"]


@pytest.mark.parametrize("name", ["field-unknown", "missing", "type", "duration", "type-in-catalog"])
def test_the_editors_schema_refuses_what_it_can_see(name):
    file = FILES / f"{name}.bad.yaml"
    validator = editors_validator()
    documents = read_yaml(file.read_text(encoding="utf-8"))[0]
    assert any(list(validator.iter_errors(document.plain())) for document in documents)


def test_the_editors_schema_offers_durations_as_authors_write_them():
    properties = editor_schema()["$defs"]["AlertRuleSpec"]["properties"]
    assert properties["staleGrace"]["default"] == "10m"
