"""The CRDs are made from the models, and have the only form that Kubernetes takes."""

import re
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from k8s.cli import app
from k8s.crds import CUSTOM_KINDS, DOCUMENT_KINDS, PIPELINE_KIND, definition, directory, texts
from k8s.crds.__main__ import main
from rules.documents import KINDS

PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT = "x-kubernetes-int-or-string"
WORDLESS = re.compile(
    r"(Default: |For example: |(A (text|number|list|mapping)|True or false)( or [^.]+)?\.|$)"
)
KIND_NAMES = [each.kind.name for each in CUSTOM_KINDS]


@cache
def schema_of(custom):
    (version,) = definition(custom)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def parts(schema, path=()):
    """Every schema inside, with its path; those of anyOf, oneOf and not are no schemas of values."""
    yield path, schema
    for key, part in schema.get("properties", {}).items():
        yield from parts(part, (*path, key))
    if "items" in schema:
        yield from parts(schema["items"], (*path, "[]"))
    if "additionalProperties" in schema:
        yield from parts(schema["additionalProperties"], (*path, "*"))


def test_the_charts_files_are_made_from_the_models():
    """`python -m k8s.crds write` writes them anew; a reviewer reads the difference."""
    found = {path.name: path.read_text(encoding="utf-8") for path in directory().glob("*.yaml")}
    assert found == texts()


def test_files_of_kinds_that_are_gone_are_taken_away_and_nobody_elses(tmp_path):
    (tmp_path / "olds.yaml").write_text("# Made from the models by `python -m k8s.crds write`.\nkind: Old\n")
    (tmp_path / "values.yaml").write_text("replicas: 1\n")
    done = CliRunner().invoke(app, ["--to", str(tmp_path)])
    written = {Path(line).name for line in done.output.splitlines()}
    assert {path.name for path in tmp_path.iterdir()} == {*written, "values.yaml"}
    assert len(written) == len(CUSTOM_KINDS)


def test_print_shows_every_kind(capsys):
    assert main(["print"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^    kind: (\w+)$", printed, re.MULTILINE) == KIND_NAMES
    assert CliRunner().invoke(app, []).output == printed
    assert main(["prnt"]) == 2


def test_every_kind_that_a_rule_set_holds_has_a_crd_and_no_other():
    assert [each.kind.name for each in DOCUMENT_KINDS] == [name for name in KINDS if name != "RuleTest"]


@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=KIND_NAMES)
def test_every_value_has_one_type_or_says_that_it_has_none(custom):
    for path, part in parts(schema_of(custom)):
        assert "type" in part or PRESERVE in part or INT in part, path
        assert "$ref" not in part, path
        assert all(each.keys() == {"required"} for key in ("anyOf", "oneOf") for each in part.get(key, ())), (
            path
        )


@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=KIND_NAMES)
def test_no_pattern_looks_ahead(custom):
    patterns = [part["pattern"] for _, part in parts(schema_of(custom)) if "pattern" in part]
    assert patterns
    assert [pattern for pattern in patterns if "(?=" in pattern or "(?!" in pattern] == []


@pytest.mark.parametrize("custom", DOCUMENT_KINDS, ids=KIND_NAMES[:-1])
def test_a_rule_document_stays_as_it_was_written(custom):
    assert [path for path, part in parts(schema_of(custom)) if "default" in part] == []


def test_names_short_names_and_plurals_are_used_once():
    words = [
        word
        for custom in CUSTOM_KINDS
        for word in (custom.kind.plural, custom.kind.name.lower(), *custom.short_names)
    ]
    assert len(set(words)) >= len(words) - 1  # definitions are their own plural


def test_the_models_say_no_types_that_the_schema_leaves_out():
    free = {
        ".".join((custom.kind.name, *path))
        for custom in CUSTOM_KINDS
        for path, part in parts(schema_of(custom))
        if PRESERVE in part and "not" not in part and "status" not in path
    }
    payloads = {
        "AlertRule.spec.actions.[].command.payload",
        "Adaptation.spec.actions.append.[].command.payload",
        "Adaptation.spec.actions.replace.[].command.payload",
        "AggregationRule.spec.alert.actions.[].command.payload",
        "GeofenceRule.spec.actions.[].command.payload",
        "SequenceRule.spec.actions.[].command.payload",
        "SequenceRule.spec.onTimeout.actions.[].command.payload",
    }
    shapes = {"Geofence.spec.corridor.line", "Geofence.spec.geometry.coordinates"}
    affinities = {path for path in free if path.startswith("RulePipeline") and path.endswith(".affinity")}
    assert free == payloads | shapes | affinities


def test_the_page_of_kinds_has_each_of_them():
    page = (Path(__file__).parents[3] / "docs" / "kubernetes-kinds.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)
    assert rows == [(it.kind.name, it.kind.plural, it.short_names[0]) for it in CUSTOM_KINDS]
    assert f"at most {PIPELINE_KIND.longest_name} characters" in page


@pytest.mark.parametrize("custom", DOCUMENT_KINDS, ids=KIND_NAMES[:-1])
def test_kubectl_explain_says_what_every_field_means(custom):
    """Beside its default, examples and types, which are there without anybody's words."""
    fields = [(path, part) for path, part in parts(schema_of(custom)) if path[:1] == ("spec",)]
    unexplained = [
        path
        for path, part in fields
        if path[-1] not in ("[]", "*") and WORDLESS.match(part.get("description", ""))
    ]
    assert unexplained == []
