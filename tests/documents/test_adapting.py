"""Adaptations reach rules of every kind: a kind needs only to say that its spec is adaptable."""

from typing import Any, Literal

from pydantic import Field

from rules.documents import Adaptable, Adaptation, Document, Duration, Placed
from rules.documents.adapting import adapt
from rules.documents.durations import DURATIONS
from rules.documents.yaml_reader import read_yaml


class _VisitSpec(Adaptable):
    stay_ms: Duration
    labels: dict[str, str] = Field(default_factory=dict)


class _VisitRule(Document):
    kind: Literal["_VisitRule"] = "_VisitRule"
    spec: _VisitSpec


HEAD = "apiVersion: telltale.dev/v1alpha1\nmetadata: {name: visits}\n"
RULE = HEAD + 'kind: _VisitRule\nspec:\n  parameters: {s: {type: duration, default: 5s}}\n  stay: "{{ s }}"\n'


def read(text: str, model: type[Document]) -> Placed[Any]:
    (root,), findings = read_yaml(text)
    assert not findings
    document = model.model_validate(
        root.plain(), by_alias=True, by_name=False, context={DURATIONS: {"s": 5000}}
    )
    return Placed(document, f"{model.__name__}.yaml", root, text)


def test_a_new_kind_is_adapted_without_more_ado():
    ours = read(
        HEAD + "kind: Adaptation\nspec:\n  rule: visits\n  parameters: {s: 9s}\n  labels: {a: b}\n",
        Adaptation,
    )
    rule = read(RULE, _VisitRule)
    (running, _), diagnostics = adapt([rule, ours], [])
    assert diagnostics == []
    assert (running.document.spec.stay_ms, running.document.spec.labels) == (9000, {"a": "b"})
    assert rule.document.as_written()["spec"]["stay"] == "{{ s }}"
    assert running.place(("spec", "labels", "a")) == "Adaptation.yaml:7:15"
    assert running.place(("spec", "stay")) == "_VisitRule.yaml:6:9"


def test_a_field_that_the_kind_does_not_have_is_told():
    ours = read(HEAD + "kind: Adaptation\nspec:\n  rule: visits\n  severity: info\n", Adaptation)
    _, diagnostics = adapt([read(RULE, _VisitRule), ours], [])
    assert [each.format() for each in diagnostics] == [
        "Adaptation.yaml:6:3: error[TT243] spec.severity: a rule of the kind _VisitRule has no severity"
    ]
