"""A law over all fields: a wrong value is refused in the cluster, at its path, and by the command line, too.

`documents/` has right documents in which every field of every kind occurs. Each field in turn is given values
that it cannot have, made from its schema. The API server is asked about many at once: those at places that do
not contain each other go into one request, and it has to name each of them.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from k8s.crds import CUSTOM_KINDS, CustomKind
from k8s.pipelines.checks import read_spec
from rules.documents import Diagnostic, Source, parse
from rules.documents.yaml_reader import read_yaml
from tests.k8s.crds import fields
from tests.k8s.crds.conftest import Try

DOCUMENTS = Path(__file__).parent / "documents"
KIND_NAMES = [each.kind.name for each in CUSTOM_KINDS]
UNKNOWN = "an unknown key"
TOLD_BY_PARSE = {
    ("SequenceRule", "spec.skip", UNKNOWN),
    ("SequenceRule", "spec.steps[0].times", UNKNOWN),
    ("AggregationRule", "spec.emit", UNKNOWN),
    ("AlertRule", "spec.severity[0]", UNKNOWN),
    ("Adaptation", "spec.severity[0]", UNKNOWN),
}
"""Inside a value of several types nothing is unknown to the API server; too many keys are refused there."""
WITHOUT_OTHERS = ("TT203", "TT240")
"""What is told of a document that stands alone."""


class Wrong(NamedTuple):
    """A right document in which one value is wrong."""

    document: dict[str, Any]
    place: fields.Path
    label: str
    value: Any

    @property
    def path(self) -> str:
        """As the API server writes it."""
        return "".join(f"[{it}]" if isinstance(it, int) else f".{it}" for it in self.place).lstrip(".")

    @property
    def told(self) -> str:
        """What the API server's refusal says of it."""
        if self.label == UNKNOWN:
            return f"{self.path}.noSuchField"
        missing = self.label.removeprefix("without ")
        return self.path if missing == self.label else f"{self.path}.{missing}"


@cache
def documents_of(name: str) -> list[dict[str, Any]]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(DOCUMENTS.glob("*.yaml"))]
    every = [root.plain() for text in texts for root in read_yaml(text)[0]]
    return [document for document in every if document["kind"] == name]


def is_looked_at(name: str, path: tuple[str, ...]) -> bool:
    """The stages of a RulePipeline are alike: one of them stands for all (a test holds them to that)."""
    return name != "RulePipeline" or path[1:2] != ("stages",) or len(path) == 2 or path[2] == "alerts"


def wrongs_of(custom: CustomKind) -> Iterator[Wrong]:
    mine = documents_of(custom.kind.name)
    for path, schema in fields.fields(fields.spec_of(custom)):
        if not is_looked_at(custom.kind.name, path):
            continue
        document, place = next((it, place) for it in mine for place in fields.places(it, path))
        for label, value in fields.wrong_values(schema, fields.at(document, place)):
            yield Wrong(document, place, label, value)


def batches(wrongs: list[Wrong]) -> Iterator[list[Wrong]]:
    """Those of one document at places that do not contain each other; unknown keys come among themselves,
    because they are told before anything else is looked at."""
    found: list[list[Wrong]] = []
    for wrong in wrongs:
        for batch in found:
            fits = batch[0].document is wrong.document and (batch[0].label == UNKNOWN) == (
                wrong.label == UNKNOWN
            )
            if fits and not any(_contains(wrong.place, other.place) for other in batch):
                batch.append(wrong)
                break
        else:
            found.append([wrong])
    yield from found


def errors_of(document: dict[str, Any], instead_of: dict[str, Any]) -> list[Diagnostic]:
    """What the command line says; an Adaptation is judged on the rules beside it."""
    documents = [document]
    if document["kind"] == "Adaptation":
        documents += [
            rule for rule in documents_of("AlertRule") + documents_of("Adaptation") if rule != instead_of
        ]
    sources = [Source(f"{index}.yaml", json.dumps(each)) for index, each in enumerate(documents)]
    return [each for each in parse(sources).errors if each.code not in WITHOUT_OTHERS]


def _contains(one: fields.Path, other: fields.Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=KIND_NAMES)
def test_every_field_is_in_a_document(custom):
    mine = documents_of(custom.kind.name)
    missing = [
        path
        for path, _ in fields.fields(fields.spec_of(custom))
        if is_looked_at(custom.kind.name, path) and not any(list(fields.places(it, path)) for it in mine)
    ]
    assert missing == [], f"add these to a document in {DOCUMENTS}"


def test_the_stages_of_a_pipeline_are_alike():
    stages = fields.spec_of(CUSTOM_KINDS[-1])["properties"]["stages"]["properties"]
    assert [stage for stage, schema in stages.items() if schema != stages["alerts"]] == []


@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=KIND_NAMES)
def test_the_documents_are_taken_as_they_are(custom, attempt: Try):
    documents = documents_of(custom.kind.name)
    assert documents
    assert [said for document in documents if (said := attempt(document))] == []


@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=KIND_NAMES)
def test_the_api_server_refuses_a_wrong_value_of_any_field_at_its_path(custom, attempt: Try):
    wrongs = list(wrongs_of(custom))
    assert len(wrongs) > 10
    untold = set()
    for batch in batches(wrongs):
        document = batch[0].document
        for wrong in batch:
            document = fields.changed(document, wrong.place, wrong.value)
        said = attempt(document) or ""
        untold |= {
            (custom.kind.name, wrong.path, wrong.label)
            for wrong in batch
            if not re.search(re.escape(wrong.told) + r'(?=[:"]|$)', said)
        }
    assert untold == {each for each in TOLD_BY_PARSE if each[0] == custom.kind.name}


@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=KIND_NAMES)
def test_the_command_line_refuses_what_the_api_server_does(custom):
    accepted = []
    for wrong in wrongs_of(custom):
        document = fields.changed(wrong.document, wrong.place, wrong.value)
        if custom.kind.name == "RulePipeline":
            problems = [str(each) for each in read_spec(document)[1]]
        else:
            problems = [each.format() for each in errors_of(document, wrong.document)]
        if not problems:
            accepted.append((wrong.path, wrong.label))
    assert accepted == []
