import json
from pathlib import Path

import pytest

from rules.documents import DATATYPES, load, read_vss

ROOT = Path(__file__).parents[2]
SAMPLE = Path(__file__).parent / "files" / "vss.json"
WHOLE = ROOT.parent / "shared" / "data" / "vss" / "vss.json"
EXPORTS = [file for file in (SAMPLE, WHOLE) if file.exists()]


def leaves(name, node):
    if node["type"] in ("sensor", "actuator", "attribute"):
        yield name, node
    elif node["type"] == "branch":
        for key, child in node["children"].items():
            yield from leaves(f"{name}.{key}", child)


@pytest.mark.parametrize("file", EXPORTS, ids=lambda file: file.parent.name)
def test_every_leaf_is_a_signal_or_is_reported(file):
    tree = json.loads(file.read_text(encoding="utf-8"))
    expected = {name: leaf for root, node in tree.items() for name, leaf in leaves(root, node)}
    loaded = load([file])
    assert loaded.errors == ()
    signals = loaded.catalog.document.spec.signals
    left_out = {each.path for each in loaded.warnings if "is not one number" in each.message}
    assert {each.code for each in loaded.warnings} <= {"TT041"}
    assert signals.keys() | left_out == expected.keys()
    assert signals.keys().isdisjoint(left_out)
    assert {name for name, leaf in expected.items() if leaf["datatype"] not in DATATYPES} == left_out
    for name, signal in signals.items():
        leaf = expected[name]
        assert signal.type == leaf["datatype"]
        assert (signal.unit, signal.min, signal.max) == (leaf.get("unit"), leaf.get("min"), leaf.get("max"))
        assert signal.allowed == (tuple(leaf["allowed"]) if "allowed" in leaf else None)


def test_the_sample_has_these_findings():
    loaded = load([SAMPLE])
    assert [each.path for each in loaded.diagnostics] == [
        "Vehicle.Cabin.SeatPosCount",
        "Vehicle.Cabin.Delivery",
        "ComplexDataTypes.DeliveryInfo",
    ]
    assert loaded.catalog.document.metadata.name == "default"
    paths = {each.name: each for each in loaded.catalog.document.decoder_paths()}
    assert paths["Vehicle.Body.Pan"] == ("Vehicle.Body.Pan", ("Vehicle.Body.Pan",), "int8", -100, 100, None)
    assert paths["Vehicle.VersionVSS.Major"][3:] == (0, 2**32 - 1, None)


def test_an_export_is_the_catalog_of_rules_beside_it(tmp_path):
    rule = tmp_path / "rule.yaml"
    rule.write_text(
        "apiVersion: telltale.dev/v1alpha1\nkind: AlertRule\nmetadata: {name: fast}\n"
        "spec: {when: Vehicle.Speed > 120}\n",
        encoding="utf-8",
    )
    loaded = load([SAMPLE, rule])
    assert loaded.errors == ()
    assert len(loaded.documents) == 2
    assert [each.code for each in load([rule]).errors] == ["TT203"]


def test_an_export_becomes_a_document_that_authors_edit():
    catalog, _ = read_vss(
        SAMPLE.read_text(encoding="utf-8"), name="mine", envelope={"timestamp": {"path": "t"}}
    )
    written = catalog.as_written()
    assert written["metadata"] == {"name": "mine"}
    assert written["spec"]["timestamp"] == {"path": ["t"]}
    assert written["spec"]["signals"]["Vehicle.Speed"] == {
        "type": "float",
        "unit": "km/h",
        "description": "Speed.",
    }


LEAF = {"type": "sensor", "datatype": "float"}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        pytest.param([1], "no branch of VSS", id="list"),
        pytest.param({"a": 1}, "no branch of VSS", id="no-branch"),
        pytest.param({"V": {"type": "branch", "children": [LEAF]}}, "no mapping", id="children"),
        pytest.param(
            {"V": {"type": "branch", "children": {"a": {"type": "x"}}}}, "neither a branch", id="type"
        ),
        pytest.param(
            {"V": {"type": "branch", "children": {"a": {"type": "sensor"}}}}, "no datatype", id="datatype"
        ),
        pytest.param({"V": {"type": "branch", "instances": ["Row[1,2]"]}}, "not expanded", id="instances"),
    ],
)
def test_what_is_no_export_is_told(tree, message):
    _, findings = read_vss(json.dumps(tree))
    assert [finding.code for finding in findings] == ["TT040"]
    assert message in findings[0].message


def test_what_is_no_json_is_told():
    catalog, findings = read_vss("{")
    assert catalog is None
    assert [finding.code for finding in findings] == ["TT040"]


def test_a_leaf_with_wrong_values_is_told_in_the_catalogs_words():
    tree = {"V": {"type": "branch", "children": {"a": {**LEAF, "min": "low"}, "b": {**LEAF, "unit": 5}}}}
    catalog, findings = read_vss(json.dumps(tree))
    assert catalog is None
    assert [(finding.code, finding.path) for finding in findings] == [
        ("TT022", ("spec", "signals", "V.a", "min")),
        ("TT022", ("spec", "signals", "V.b", "unit")),
    ]
