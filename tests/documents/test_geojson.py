"""A `.geojson` file: each feature a fence, each finding at its place in the file."""

import json

import pytest

from rules.documents import Source, load, parse

COLLECTION = """{
\t"type": "FeatureCollection",
\t"features": [
\t\t{"type": "Feature", "properties": {"name": "depot-1", "type": "depot",
\t\t\t"gates": 3, "labels": {"city": "x"}},
\t\t "geometry": {"type": "Polygon", "bbox": [0, 0, 1, 1],
\t\t\t"coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}},
\t\t{"type": "Feature", "id": "pump", "properties": {"radiusMeters": 50},
\t\t "geometry": {"type": "Point", "coordinates": [121.4, 31.2, 4]}},
\t\t{"type": "Feature", "properties": {"name": "road", "widthMeters": 20, "open": true},
\t\t "geometry": {"type": "LineString", "coordinates": [[121.4, 31.2], [121.5, 31.2]]}}
\t]
}
"""


def test_each_feature_of_a_geojson_file_is_a_fence(tmp_path):
    (tmp_path / "fences.geojson").write_text(COLLECTION)
    loaded = load([tmp_path])
    assert loaded.diagnostics == ()
    fences = {it.document.metadata.name: it.document for it in loaded.geofences}
    assert {name: fence.metadata.labels for name, fence in fences.items()} == {
        "depot-1": {"type": "depot", "gates": "3", "city": "x"},
        "pump": {},
        "road": {"open": "true"},
    }
    assert fences["depot-1"].shape.covers(0.2, 0.5)
    assert fences["pump"].shape.covers(31.2004, 121.4)
    assert fences["road"].shape.covers(31.20008, 121.45)
    assert not fences["road"].shape.covers(31.2001, 121.45)


def test_a_feature_is_the_same_fence_as_its_document(tmp_path):
    (tmp_path / "fences.geojson").write_text(COLLECTION)
    documents = [placed.document.as_written() for placed in load([tmp_path]).geofences]
    again = parse([Source("fences.yaml", "\n---\n".join(map(json.dumps, documents)))])
    assert [placed.document.as_written() for placed in again.geofences] == documents
    assert [it.document.shape.digest for it in again.geofences] == [
        it.document.shape.digest for it in load([tmp_path]).geofences
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(
            '{"type": "Feature"}',
            "1:1: error[TT067] a .geojson file holds one FeatureCollection",
            id="no-collection",
        ),
        pytest.param(
            '{"type": "FeatureCollection"}',
            "1:1: error[TT067] features: a FeatureCollection has a list of features",
            id="no-features",
        ),
        pytest.param(
            '{"type": "FeatureCollection", "features": [7]}',
            "1:44: error[TT067] features[0]: expected a Feature",
            id="no-feature",
        ),
        pytest.param(
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"name": "a"}}]}',
            "1:44: error[TT067] features[0].geometry: a feature without a geometry is no fence",
            id="no-geometry",
        ),
        pytest.param(
            COLLECTION.replace('"name": "depot-1", ', ""),
            "4:3: error[TT067] features[0]: a fence has a name: this feature has none",
            id="no-name",
        ),
        pytest.param(
            COLLECTION.replace("depot-1", "Depot 1"),
            "4:46: error[TT025] features[0].properties.name: 'Depot 1' is not a name",
            id="name",
        ),
        pytest.param(
            COLLECTION.replace("[1, 1]", "[1, 100]"),
            "7:41: error[TT062] features[0].geometry.coordinates[0][2][1]: 100 is no latitude",
            id="latitude",
        ),
        pytest.param(
            COLLECTION.replace('"radiusMeters": 50', ""),
            "9:16: error[TT067] features[1].geometry: a Point is a fence only with the property radiusMeters",
            id="no-radius",
        ),
        pytest.param(
            COLLECTION.replace('"radiusMeters": 50', '"radiusMeters": "50"'),
            "8:68: error[TT022] features[1].properties.radiusMeters: expected a number",
            id="radius-a-text",
        ),
        pytest.param(
            COLLECTION.replace("[121.4, 31.2, 4]", "121.4"),
            "9:49: error[TT067] features[1].geometry.coordinates: a position is a list of two numbers",
            id="no-position",
        ),
        pytest.param(
            COLLECTION.replace("[121.4, 31.2, 4]", "[31.2, 121.4]"),
            "9:56: error[TT062] features[1].geometry.coordinates[1]: 121.4 is no latitude",
            id="swapped",
        ),
        pytest.param(
            COLLECTION.replace("LineString", "MultiPoint"),
            "11:25: error[TT061] features[2].geometry.type: 'MultiPoint' is not one of Polygon, MultiPolygon",
            id="kind",
        ),
        pytest.param(
            COLLECTION.replace('"pump"', '"depot-1"'),
            "8:29: error[TT201] metadata.name: another Geofence has the name 'depot-1'",
            id="name-twice",
        ),
    ],
)
def test_what_is_wrong_with_a_geojson_file_is_told_in_its_own_paths(text, found):
    diagnostics = [each.format() for each in parse([Source("fences.geojson", text)]).diagnostics]
    assert len(diagnostics) == 1
    assert diagnostics[0].startswith(f"fences.geojson:{found}")
