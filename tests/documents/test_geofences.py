"""Whatever stands where a shape is expected, there is a fence or a finding, never a traceback."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import compile_rules
from rules.documents import Source, parse
from tests.engine.rulebook import document

NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-181, 181),
    st.sampled_from([0, -0.0, 90, -90, 180, -180, 360, 1e308, 5e-324]),
)
LEAVES = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=5))
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
POSITIONS = st.lists(NUMBERS, min_size=2, max_size=3) | ANYTHING
GRID = st.tuples(st.integers(-3, 3), st.integers(-3, 3)).map(list)
RINGS = st.lists(POSITIONS, max_size=6) | st.lists(GRID, min_size=3, max_size=9) | ANYTHING
POLYGONS = st.lists(RINGS, max_size=3) | ANYTHING
SPECS = st.one_of(
    st.builds(
        lambda kind, found: {"geometry": {"type": kind, "coordinates": found}},
        st.sampled_from(["Polygon", "MultiPolygon"]),
        POLYGONS | st.lists(POLYGONS, max_size=3),
    ),
    st.builds(lambda line, width: {"corridor": {"line": line, "widthMeters": width}}, RINGS, NUMBERS),
    st.builds(
        lambda *found: {"circle": dict(zip(("latitude", "longitude", "radiusMeters"), found, strict=True))},
        *[LEAVES | st.floats(-90, 90)] * 3,
    ),
)
CATALOG = {"timestamp": {"path": "t"}, "position": {"latitude": "a", "longitude": "b"}, "signals": {}}


@settings(max_examples=400, deadline=None)
@given(SPECS)
def test_any_shape_is_a_fence_or_has_a_finding(spec: dict[str, object]) -> None:
    texts = [document("SignalCatalog", "c", CATALOG), document("Geofence", "a", spec)]
    loaded = parse([Source("x.yaml", "\n---\n".join(texts))])
    fences = [placed.document.shape for placed in loaded.geofences]
    assert loaded.errors or (len(fences) == 1 and fences[0] is not None)
    if not loaded.errors and fences[0] is not None:
        compile_rules(loaded)
        for latitude, longitude in ((0.5, 0.5), (-80.0, 179.9), (31.0, 121.0), (80.0, -180.0)):
            assert fences[0].covers(latitude, longitude) == (fences[0].distance_m(latitude, longitude) == 0.0)


FEATURES = st.fixed_dictionaries(
    {"type": st.just("Feature") | LEAVES},
    optional={
        "id": LEAVES,
        "properties": st.dictionaries(
            st.sampled_from(["name", "labels", "radiusMeters", "widthMeters", "x"]), ANYTHING, max_size=4
        )
        | ANYTHING,
        "geometry": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["Polygon", "Point", "LineString", "MultiPolygon", "x"]) | ANYTHING,
                "coordinates": POLYGONS,
            },
        )
        | ANYTHING,
    },
)


@settings(max_examples=400, deadline=None)
@given(st.lists(FEATURES | ANYTHING, max_size=3) | ANYTHING)
def test_any_collection_is_read_or_has_a_finding(features: object) -> None:
    text = json.dumps({"type": "FeatureCollection", "features": features})
    loaded = parse([Source("x.geojson", text)])
    count = len(features) if isinstance(features, list) else 1
    assert loaded.errors or len(loaded.geofences) == count


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | ANYTHING.map(json.dumps))
def test_any_text_as_a_collection_is_a_finding(text: str) -> None:
    assert parse([Source("x.geojson", text)]).diagnostics
