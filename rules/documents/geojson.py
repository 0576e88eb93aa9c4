"""A GeoJSON file (RFC 7946): each feature of its FeatureCollection is a Geofence.

A feature's name is its property `name`, or its id; its labels are what its property `labels` holds, and each
other property that is a text, a number or a boolean. A Point with the property `radiusMeters` is a circle, a
LineString with `widthMeters` a corridor. Findings have the paths of the file, not of the document made of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rules.documents.closed import API_VERSION
from rules.documents.diagnostics import Path, quote
from rules.documents.yaml_reader import Node

_NOT_LABELS = frozenset({"name", "labels", "radiusMeters", "widthMeters"})


class Complaint(NamedTuple):
    """Something that keeps a feature, or the file, from being read."""

    path: Path
    message: str
    hint: str | None = None


class Feature(NamedTuple):
    """A feature as the document that it stands for. `root` has the places of its values in the file."""

    document: dict[str, Any]
    root: Node
    origins: Mapping[Path, Path]
    """The path in the file for each path in the document under which something was moved."""

    def origin(self, path: Path) -> Path:
        """Where in the file a value of the document stands."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]] + path[length:]
        return self.origins[()]


def features(root: Node) -> Iterator[Feature | Complaint]:
    """Yield the features of a file, or why it or one of them cannot be read."""
    collection = root.value
    if not isinstance(collection, dict) or _plain(collection.get("type")) != "FeatureCollection":
        hint = 'it begins with {"type": "FeatureCollection", "features": ['
        yield Complaint((), "a .geojson file holds one FeatureCollection", hint)
        return
    nodes = collection["features"].value if "features" in collection else None
    if not isinstance(nodes, list):
        yield Complaint(("features",), "a FeatureCollection has a list of features")
        return
    for index, node in enumerate(nodes):
        yield _feature(node, ("features", index))


def _feature(node: Node, path: Path) -> Feature | Complaint:
    feature = node.value
    if not isinstance(feature, dict) or _plain(feature.get("type")) != "Feature":
        return Complaint(path, "expected a Feature", '{"type": "Feature", "properties": …, "geometry": …}')
    properties = feature["properties"].value if "properties" in feature else None
    properties = properties if isinstance(properties, dict) else {}
    geometry = feature.get("geometry")
    if geometry is None or not isinstance(geometry.value, dict):
        return Complaint((*path, "geometry"), "a feature without a geometry is no fence")
    name_path = (*path, "properties", "name") if "name" in properties else (*path, "id")
    name = properties.get("name", feature.get("id"))
    if name is None:
        hint = '"properties": {"name": "depot-1"}'
        return Complaint(path, "a fence has a name: this feature has none", hint)
    origins: dict[Path, Path] = {(): path, ("metadata", "name"): name_path}
    labels: dict[str, Node] = {}
    for key, value in properties.items():
        if key == "labels" and isinstance(value.value, dict):
            labels |= value.value
            origins |= {
                ("metadata", "labels", inner): (*path, "properties", key, inner) for inner in value.value
            }
        elif key not in _NOT_LABELS and isinstance(value.value, str | int | float):
            labels.setdefault(key, _as_text(value))
            origins.setdefault(("metadata", "labels", key), (*path, "properties", key))
    metadata = {"name": name, "labels": _mapping(node, labels)}
    spec = _spec(node, geometry, properties, path, origins)
    if isinstance(spec, Complaint):
        return spec
    whole = _mapping(node, {"metadata": _mapping(node, metadata), "spec": spec})
    document = {"apiVersion": API_VERSION, "kind": "Geofence", **whole.plain()}
    return Feature(document, whole, origins)


def _spec(
    node: Node, geometry: Node, properties: dict[str, Node], path: Path, origins: dict[Path, Path]
) -> Node | Complaint:
    """The shape, by the kind of geometry. What GeoJSON lets stand beside type and coordinates is left out."""
    place: Path = (*path, "geometry")
    kind, coordinates = _plain(geometry.value.get("type")), geometry.value.get("coordinates")
    sizes = {"Point": "radiusMeters", "LineString": "widthMeters"}
    if isinstance(kind, str) and kind in sizes:
        size = sizes[kind]
        if size not in properties:
            message = f"a {kind} is a fence only with the property {size}"
            return Complaint(place, message, f'"properties": {{"name": …, "{size}": 50}}')
        origins["spec", "circle" if kind == "Point" else "corridor", size] = (*path, "properties", size)
    if kind == "Point":
        origins["spec", "circle"] = place
        match coordinates.value if coordinates is not None else None:
            case [Node() as longitude, Node() as latitude, *_]:
                origins["spec", "circle", "longitude"] = (*place, "coordinates", 0)
                origins["spec", "circle", "latitude"] = (*place, "coordinates", 1)
                parts = {"latitude": latitude, "longitude": longitude, size: properties[size]}
                return _mapping(geometry, {"circle": _mapping(geometry, parts)})
        return Complaint((*place, "coordinates"), "a position is a list of two numbers: longitude, latitude")
    if kind == "LineString" and coordinates is not None:
        origins["spec", "corridor"] = place
        origins["spec", "corridor", "line"] = (*place, "coordinates")
        parts = {"line": coordinates, size: properties[size]}
        return _mapping(geometry, {"corridor": _mapping(geometry, parts)})
    origins["spec", "geometry"] = place
    origins[("spec",)] = place
    kept = {key: value for key, value in geometry.value.items() if key in ("type", "coordinates")}
    return _mapping(node, {"geometry": _mapping(geometry, kept)})


def _mapping(like: Node, value: dict[str, Node]) -> Node:
    """A mapping that the file does not have, at a place that it does."""
    keys = {key: like.keys.get(key, (item.line, item.column)) for key, item in value.items()}
    return Node(value, like.line, like.column, like.start, like.end, keys=keys)


def _as_text(node: Node) -> Node:
    value = node.value
    text = value if isinstance(value, str) else quote(value)
    return Node(text, node.line, node.column, node.start, node.end, node.style)


def _plain(node: Node | None) -> Any:
    return None if node is None else node.value
