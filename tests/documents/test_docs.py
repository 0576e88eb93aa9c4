"""The reference in docs/ is held to the program: every field, every code, every example."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from rules import RuleSet, compile_rules
from rules.documents import (
    Source,
    adaptable,
    adaptation,
    alert_rule,
    command_type,
    definitions,
    exceptions,
    geofence,
    geofence_rule,
    parse,
    parse_duration,
    rollout,
    rule_test,
    schedule,
    sequence_rule,
    signal_catalog,
)
from rules.documents.closed import Closed, Document, Metadata
from rules.testing import suite
from tests.documents.diagnostics_page import PAGE, page

DOCS = Path(__file__).parents[2] / "docs"
RULES = (DOCS / "rules.md").read_text(encoding="utf-8")
TESTING = (DOCS / "testing.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", RULES + TESTING, re.DOTALL)
SECTIONS = {
    "AlertRule": alert_rule,
    "SequenceRule": sequence_rule,
    "Schedule": schedule,
    "Geofence": geofence,
    "GeofenceRule": geofence_rule,
    "Rollout": rollout,
    "CommandType": command_type,
    "SignalCatalog": signal_catalog,
    "RuleTest": rule_test,
}
REUSE = (DOCS / "reuse.md").read_text(encoding="utf-8")
REUSE_SECTIONS = {
    "Definitions": definitions,
    "Parameters": adaptable,
    "Adaptations": adaptation,
    "Exceptions": exceptions,
}


def models(module):
    members = [
        each for each in vars(module).values() if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    return [each for each in members if each.__module__ == module.__name__]


def section(title, page=None):
    page = page or (TESTING if title == "RuleTest" else RULES)
    return re.split(r"^## ", page.split(f"\n## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def fields_in(text):
    return set(re.findall(r"^\| `([A-Za-z.]+)` \|", text, re.MULTILINE))


def fields_of(model):
    return {field.alias for field in model.model_fields.values()}


@pytest.mark.parametrize("title", SECTIONS)
def test_every_field_has_a_row_and_every_row_a_field(title):
    inner = [model for model in models(SECTIONS[title]) if model.__name__ != title]
    assert all(issubclass(model, Closed) for model in inner)
    assert fields_in(section(title)) == set().union(*map(fields_of, inner))


def own_fields_of(model):
    return fields_of(model) - set().union(*map(fields_of, model.__bases__))


@pytest.mark.parametrize("title", REUSE_SECTIONS)
def test_every_field_of_what_rules_share_has_a_row(title):
    inner = [model for model in models(REUSE_SECTIONS[title]) if not issubclass(model, Document)]
    assert fields_in(section(title, REUSE)) == set().union(*map(own_fields_of, inner))


def test_every_field_of_the_envelope_has_a_row():
    expected = {"apiVersion", "kind"} | {f"metadata.{field}" for field in fields_of(Metadata)}
    assert fields_in(section("Every document")) == expected


def test_defaults_of_durations_are_those_of_the_models():
    written = dict(re.findall(r"^\| `(\w+)` \| duration \| `(\w+)` \|", RULES + TESTING, re.MULTILINE))
    every_model = [model for module in SECTIONS.values() for model in models(module)]
    fields = [each for model in every_model for each in model.model_fields.items()]
    defaults = {
        field.alias: field.default
        for name, field in fields
        if name.endswith("_ms") and field.default is not None and not field.is_required()
    }
    assert {field: parse_duration(text) for field, text in written.items()} == defaults


def test_fields_of_later_are_named():
    for word in alert_rule.AlertRuleSpec.later:
        assert f"`{word}`" in RULES


def test_the_examples_have_no_findings():
    loaded = parse(Source(f"{number}.yaml", text) for number, text in enumerate(EXAMPLES))
    assert [each.format() for each in loaded.diagnostics] == []
    assert len(loaded.documents) == 11


def test_the_test_of_the_page_about_tests_is_right():
    found = suite(parse(Source(f"{number}.yaml", text) for number, text in enumerate(EXAMPLES)))
    (verdict,) = found.run()
    assert [failure.format() for failure in verdict.failures] == []


def test_the_examples_of_what_rules_share_compile():
    signals = "{speed: {}, coolant: {}, belt: {type: boolean}}"
    catalog = f"spec: {{timestamp: {{path: ts}}, signals: {signals}}}"
    head = "apiVersion: telltale.dev/v1alpha1\nkind: SignalCatalog\nmetadata: {name: c}\n"
    texts = [head + catalog, *re.findall(r"```yaml\n(.*?)```", REUSE, re.DOTALL)]
    compiled = compile_rules(parse(Source(f"{number}.yaml", text) for number, text in enumerate(texts)))
    assert isinstance(compiled, RuleSet), [each.format() for each in compiled]
    assert compiled.warnings == ()


def test_the_examples_of_conditions_on_time_compile():
    catalog = {"timestamp": {"path": "ts"}, "signals": {name: {} for name in ("fuel", "fuel_rate", "speed")}}
    envelope = {"apiVersion": "telltale.dev/v1alpha1", "kind": "SignalCatalog", "metadata": {"name": "c"}}
    page = (DOCS / "time-conditions.md").read_text(encoding="utf-8")
    texts = [json.dumps(envelope | {"spec": catalog}), *re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    rules = compile_rules(parse(Source(f"{number}.yaml", text) for number, text in enumerate(texts)))
    assert isinstance(rules, RuleSet), [each.format() for each in rules]
    assert rules.warnings == ()


def test_the_page_of_diagnostics_is_made_from_the_tables_of_codes():
    assert PAGE.read_text(encoding="utf-8") == page()
