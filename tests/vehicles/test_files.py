"""Files of vehicles: what they say, and everything that is wrong with them, with file and line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.process.failures import ConfigurationError
from pipeline.vehicles.entries import Sheet, pairs_of, value_of
from pipeline.vehicles.files import read_files
from pipeline.vehicles.store import as_record
from rules.documents.signal_catalog import VehicleFacts


def read(tmp_path: Path, name: str, text: str | bytes) -> Sheet:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    sheet = read_files([path])
    sheet.problems = [problem.removeprefix(f"{tmp_path}/") for problem in sheet.problems]
    return sheet


def said(sheet: Sheet) -> dict[str, tuple[dict[str, str], dict[str, object]]]:
    assert sheet.problems == []
    return {
        entry.vehicle_id: (dict(entry.registration.labels), dict(entry.registration.attributes))
        for entry in sheet.entries
    }


CSV = """\
vehicleId,labels.model,attributes.speedLimit,attributes.hazmat,attributes.depot:string
v1,ET5,90,true,007
v2,,120.5,,

"v,3","two
lines",,FALSE,north
"""


def test_a_csv_file_has_a_column_for_each_label_and_attribute(tmp_path: Path) -> None:
    assert said(read(tmp_path, "fleet.csv", CSV)) == {
        "v1": ({"model": "ET5"}, {"speedLimit": 90.0, "hazmat": True, "depot": "007"}),
        "v2": ({}, {"speedLimit": 120.5}),
        "v,3": ({"model": "two\nlines"}, {"hazmat": False, "depot": "north"}),
    }


def test_a_csv_file_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    text = "\ufeffvehicleId;labels.model\r\nv1;ET5\r\n"
    assert said(read(tmp_path, "fleet.CSV", text)) == {"v1": ({"model": "ET5"}, {})}


VEHICLES = [
    {"vehicleId": "v1", "labels": {"model": "ET5"}, "attributes": {"limit": 90, "hazmat": True}},
    {"vehicleId": "v2"},
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fleet.json", json.dumps(VEHICLES)),
        ("fleet.json", json.dumps(VEHICLES, indent=2)),
        ("fleet.jsonl", "\n\n".join(map(json.dumps, VEHICLES))),
    ],
)
def test_json_holds_an_object_a_vehicle(tmp_path: Path, name: str, text: str) -> None:
    assert said(read(tmp_path, name, text)) == {
        "v1": ({"model": "ET5"}, {"limit": 90.0, "hazmat": True}),
        "v2": ({}, {}),
    }


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [
        pytest.param("a.csv", "", ["a.csv:1: it is empty"], id="empty"),
        pytest.param(
            "a.csv", b"vehicleId\nv1\n\xff\n", ["a.csv:3: not UTF-8 (invalid start byte)"], id="utf-8"
        ),
        pytest.param(
            "a.csv",
            "id,model,labels.,labels.a,labels.a\n",
            [
                f"a.csv:1: column {name!r}: a column is vehicleId, labels.NAME, attributes.NAME or "
                "attributes.NAME:TYPE"
                for name in ("id", "model", "labels.")
            ]
            + ["a.csv:1: column 'labels.a' is there twice", "a.csv:1: there is no column vehicleId"],
            id="header",
        ),
        pytest.param(
            "a.csv",
            "vehicleId,attributes.limit:number,attributes.on:bool,labels.a b\n"
            "v1,fast,perhaps,\n,5,,\nv1,1,true,x\nv2,1,true,,,\nv3,1\nv3,2\n",
            [
                "a.csv:2: the attribute 'limit': 'fast' is no number",
                "a.csv:2: the attribute 'on': 'perhaps' is neither true nor false",
                "a.csv:3: vehicleId is missing",
                "a.csv:4: the label 'a b': a name begins with a letter or _, and has at most 63 of letters, "
                "digits and _ . / -",
                "a.csv:5: 6 cells, the header has 4",
                "a.csv:7: 'v3' is there twice, first in a.csv:6",
            ],
            id="rows",
        ),
        pytest.param("a.csv", 'vehicleId\n"v1', ["a.csv:2: unexpected end of data"], id="quote"),
        pytest.param(
            "a.json",
            '[{"vehicleId": "v1"},\n {"vehicleId": 7},\n 5,\n {"vehicleId": "v2", "label": {}},\n'
            ' {"vehicleId": "", "labels": {"a": 1, "b": null}}, {"vehicleId": "v3", "labels": [1]}]',
            [
                "a.json:2: vehicleId is no string",
                "a.json:3: a vehicle is an object with vehicleId, labels and attributes",
                "a.json:4: 'label': the keys of a vehicle are vehicleId, labels and attributes",
                "a.json:5: the vehicle id is empty",
                "a.json:5: the label 'a' is the number 1, a label is a string",
                "a.json:5: the label 'b' is null, a label is a string",
                "a.json:5: labels is no object",
            ],
            id="json",
        ),
        pytest.param(
            "a.json", '[{"vehicleId": "v1"}\n {', ["a.json:2: column 2: a comma or ] is missing"], id="comma"
        ),
        pytest.param("a.json", '[{"vehicleId":\n x', ["a.json:2: column 2: Expecting value"], id="no-json"),
        pytest.param("a.json", "[] 5", ["a.json:1: column 4: more after the list"], id="more"),
        pytest.param("a.json", "\n\n{5", None, id="object"),
        pytest.param("a.json", "[" * 100_000, ["a.json:1: it is nested too deep"], id="deep"),
        pytest.param(
            "a.jsonl",
            '{"vehicleId": "v1"}\n{\n[]\n',
            [
                "a.jsonl:2: column 2: Expecting property name enclosed in double quotes",
                "a.jsonl:3: a vehicle is an object with vehicleId, labels and attributes",
            ],
            id="lines",
        ),
    ],
)
def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, name: str, text: str | bytes, problems) -> None:
    found = [problem.replace(str(tmp_path) + "/", "") for problem in read(tmp_path, name, text).problems]
    if problems is None:
        assert found[0].startswith("a.json:3: ")
    else:
        assert found == problems


def test_a_file_of_another_kind_and_one_that_is_not_there_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ends in \.csv, \.json, \.jsonl"):
        read_files([tmp_path / "fleet.xlsx"])
    with pytest.raises(ConfigurationError, match="No such file"):
        read_files([tmp_path / "fleet.csv"])


FACTS = VehicleFacts.model_validate(
    {
        "labels": {"model": {"allowed": ["ET5", "ES6"]}, "driver": {}},
        "attributes": {"limit": {}, "hazmat": {"type": "bool"}, "depot": {"type": "string"}},
    }
)


def test_a_catalog_says_what_a_column_holds_and_what_is_a_slip(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text(
        "vehicleId,labels.model,labels.drivr,attributes.limit,attributes.hazmat,attributes.depot\n"
        "v1,ET5,,90,true,007\nv2,EC7,Ann,,,\nv3,,,fast,1,\n"
    )
    sheet = read_files([path], FACTS)
    assert [(it.vehicle_id, it.registration.attributes) for it in sheet.entries] == [
        ("v1", {"limit": 90.0, "hazmat": True, "depot": "007"})
    ]
    assert [problem.removeprefix(f"{path}:") for problem in sheet.problems] == [
        "3: the label 'model' is 'EC7', the catalog allows ET5, ES6",
        "3: the label 'drivr' is not declared: did you mean 'driver'?",
        "4: the attribute 'limit': 'fast' is no number",
        "4: the attribute 'hazmat': '1' is neither true nor false",
    ]


def test_json_is_held_to_the_catalog_too(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    path.write_text(
        '{"vehicleId": "v1", "attributes": {"limit": "90", "hazmat": 1, "x": true, "depot": "n"}}'
    )
    assert [problem.removeprefix(f"{path}:1: ") for problem in read_files([path], FACTS).problems] == [
        "the attribute 'limit' is '90', the catalog says number",
        "the attribute 'hazmat' is 1, the catalog says bool",
        "the attribute 'x' is not declared",
    ]


@given(
    st.sampled_from((".csv", ".json", ".jsonl")),
    st.one_of(
        st.binary(max_size=80), st.text(alphabet='vehicleId,.labels{}[]":x1\n ', max_size=80).map(str.encode)
    ),
)
def test_any_file_gives_vehicles_or_problems(
    tmp_path_factory: pytest.TempPathFactory, suffix, content
) -> None:
    path = tmp_path_factory.mktemp("any") / f"a{suffix}"
    path.write_bytes(content)
    sheet = read_files([path])
    assert all(problem.startswith(f"{path}:") for problem in sheet.problems)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9-]{0,6}", fullmatch=True),
        st.one_of(st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=9)),
        max_size=4,
    )
)
def test_what_list_prints_import_reads(tmp_path_factory: pytest.TempPathFactory, attributes) -> None:
    path = tmp_path_factory.mktemp("again") / "fleet.jsonl"
    path.write_text(json.dumps({"vehicleId": "v1", "labels": {"a": "b"}, "attributes": attributes}) + "\n")
    (entry,) = read_files([path]).entries
    assert as_record("v1", entry.registration) == {
        "vehicleId": "v1",
        "labels": {"a": "b"},
        "attributes": attributes,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90", 90.0),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("1_000", "1_000"),
        ("nan", "nan"),
        ("", ""),
    ],
)
def test_an_attribute_is_a_number_a_bool_or_else_a_text(text: str, value: object) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


def test_words_of_the_command_line() -> None:
    labels, attributes, problems = pairs_of(
        ["model=ET5", "note=a=b", "bare"], ["limit=90", "depot:string=007", "on:bool=maybe", "x"]
    )
    assert (labels, attributes) == (
        {"model": "ET5", "note": "a=b", "bare": ""},
        {"limit": 90.0, "depot": "007"},
    )
    assert problems == [
        "--label bare: write NAME=VALUE",
        "--attribute on:bool=maybe: 'maybe' is neither true nor false",
        "--attribute x: write NAME=VALUE",
    ]
