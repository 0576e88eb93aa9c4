"""A payload, as a vehicle sent it, to its time, its sequence, its position and the signals of the catalog.

Everything in a payload is hostile until checked here. What spoils the whole message raises `Unusable`, with
the code under which it becomes a dead letter; what spoils one signal drops that signal, under a reason that
is counted, and keeps the rest (unless the catalog is strict).

The codec is a seam: bytes to a tree of dicts, lists and scalars. JSON is the one that is here.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from rules.documents import SignalCatalog
from rules.instants import EARLIEST, LATEST, parse_instant

MAX_PAYLOAD_BYTES = 1 << 20
MAX_TEXT = 1024
# How far a vehicle's clock may run ahead of the uplink's before its message is refused.
MAX_AHEAD_MS = 5 * 60_000
# Within this much ahead, the two clocks are held to be the same.
TOLERATED_AHEAD_MS = 2_000

Decode = Callable[[bytes], object]
Path = tuple[str, ...]
Number = int | float


class Unusable(Exception):
    """The whole message is of no use. `code` is stable, `reason` a sentence for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Position(NamedTuple):
    """A fix: degrees (WGS 84), and the radius in metres that it is good to, if the vehicle says."""

    latitude: float
    longitude: float
    accuracy: float | None


class Reading(NamedTuple):
    """What one payload said. `instant` in milliseconds since the epoch; numeric signals are floats."""

    instant: int
    sequence: int | None
    signals: dict[str, object]
    position: Position | None
    stamp: int
    """The time as the vehicle wrote it: `instant` hangs on the receipt where it runs ahead, this does not."""


@dataclass(frozen=True, slots=True)
class SignalShape:
    """What the catalog says of one signal: where it sits, what it may be."""

    name: str
    path: Path
    kind: str
    """"number", "integer", "boolean" or "text"."""
    minimum: float | None = None
    maximum: float | None = None
    allowed: frozenset[object] | None = None


@dataclass(frozen=True, slots=True)
class PayloadShape:
    """Where a payload keeps what. `time_format` is unixMillis, unixSeconds or rfc3339."""

    signals: tuple[SignalShape, ...]
    time: Path
    time_format: str
    sequence: Path | None = None
    latitude: Path | None = None
    longitude: Path | None = None
    accuracy: Path | None = None
    strict: bool = False
    max_past_ms: int = 30 * 86_400_000


_KINDS = {"double": "number", "float": "number", "boolean": "boolean", "string": "text"}


def shape_of(catalog: SignalCatalog) -> PayloadShape:
    """Where payloads keep what, as a catalog says it."""
    spec = catalog.spec
    position = spec.position
    return PayloadShape(
        signals=tuple(
            SignalShape(
                signal.name,
                signal.keys,
                _KINDS.get(signal.type, "integer"),
                signal.minimum,
                signal.maximum,
                signal.allowed,
            )
            for signal in catalog.decoder_paths()
        ),
        time=spec.timestamp.path,
        time_format=spec.timestamp.format,
        sequence=spec.sequence.path if spec.sequence else None,
        latitude=position.latitude if position else None,
        longitude=position.longitude if position else None,
        accuracy=position.accuracy if position else None,
        strict=spec.strict,
        max_past_ms=spec.max_past_ms,
    )


class _Branch(dict[str, "SignalShape | _Branch | None"]):
    """A level of the payload: key to the signal there, to a deeper level, or to None (known, no signal)."""

    def __init__(self) -> None:
        self.plain: dict[str, tuple[str, float, float]] = {}
        """Key to name, least and most of each number of which nothing but its range is to be checked."""


class Reader:
    """Reads payloads of one shape. Counts in `dropped` what it drops: (reason) to number."""

    def __init__(self, shape: PayloadShape) -> None:
        self._shape = shape
        self._root = _Branch()
        for signal in shape.signals:
            self._plant(signal.path, signal)
        for path in (shape.time, shape.sequence, shape.latitude, shape.longitude, shape.accuracy):
            if path is not None:
                self._plant(path, None)
        self.dropped: Counter[str] = Counter()

    def _plant(self, path: Path, leaf: SignalShape | None) -> None:
        level = self._root
        for key in path[:-1]:
            below = level.get(key)
            if not isinstance(below, _Branch):
                below = level[key] = _Branch()
            level = below
        if leaf is not None or path[-1] not in level:
            level[path[-1]] = leaf
            level.plain.pop(path[-1], None)
        if leaf is not None and leaf.kind == "number" and leaf.allowed is None:
            least = -sys.float_info.max if leaf.minimum is None else leaf.minimum
            most = sys.float_info.max if leaf.maximum is None else leaf.maximum
            level.plain[path[-1]] = leaf.name, least, most

    def read(self, payload: bytes, received_at: int, decode: Decode) -> Reading:
        """One payload, received at `received_at`. Raises Unusable."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise Unusable(
                "payload-too-large",
                f"the payload has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are read",
            )
        tree = decode(payload)
        if not isinstance(tree, dict):
            raise Unusable("payload-not-an-object", f"the payload is a {_name(tree)}, an object was expected")
        return self.read_tree(tree, self._stamp(tree, received_at), received_at)

    def read_tree(self, tree: Mapping[str, object], stamp: int, received_at: int) -> Reading:
        """A decoded payload whose time is known. Raises Unusable where the catalog is strict."""
        signals: dict[str, object] = {}
        self._gather(tree, self._root, signals)
        instant = stamp
        if stamp > received_at + TOLERATED_AHEAD_MS:
            self.dropped["time-ahead"] += 1
            instant = received_at
        return Reading(instant, self._sequence(tree), signals, self._position(tree), stamp)

    def _gather(self, tree: Mapping[str, object], level: _Branch, signals: dict[str, object]) -> None:
        plain = level.plain
        for key, value in tree.items():
            if key in plain and type(value) is float:
                name, least, most = plain[key]
                if least <= value <= most:
                    signals[name] = value
                    continue
            if key not in level:
                self._reject("unknown-signal", key, value)
                continue
            leaf = level[key]
            if leaf is None or value is None:
                continue  # a null is a signal that the vehicle has no value for
            if isinstance(leaf, _Branch):
                if isinstance(value, dict):
                    self._gather(value, leaf, signals)
                else:
                    self._reject("wrong-type", key, value)
                continue
            self._take(leaf, value, signals)

    def _take(self, shape: SignalShape, value: object, signals: dict[str, object]) -> None:
        kind = shape.kind
        if kind == "number" or kind == "integer":
            if type(value) is float:
                number = value
            elif type(value) is int and -(2**63) <= value < 2**64:
                number = float(value)
            else:
                self._reject("wrong-type", shape.name, value)
                return
            if not math.isfinite(number) or (kind == "integer" and number != math.floor(number)):
                self._reject("wrong-type", shape.name, value)
                return
            if (shape.minimum is not None and number < shape.minimum) or (
                shape.maximum is not None and number > shape.maximum
            ):
                self._reject("out-of-range", shape.name, value)
                return
            value = number
        elif kind == "boolean":
            if type(value) is not bool:
                self._reject("wrong-type", shape.name, value)
                return
        elif type(value) is not str or len(value) > MAX_TEXT:
            self._reject("wrong-type", shape.name, value)
            return
        if shape.allowed is not None and value not in shape.allowed:
            self._reject("not-allowed", shape.name, value)
            return
        signals[shape.name] = value

    def _reject(self, reason: str, name: str, value: object) -> None:
        self.dropped[reason] += 1
        if self._shape.strict:
            raise Unusable("signal-rejected", f"strict catalog: {reason} at {name[:100]!r} ({_name(value)})")

    def _stamp(self, tree: Mapping[str, object], received_at: int) -> int:
        found = _at(tree, self._shape.time)
        if found is None:
            raise Unusable("time-missing", f"no time at {_dotted(self._shape.time)}")
        try:
            instant = _to_instant(found, self._shape.time_format)
        except (ValueError, OverflowError, TypeError) as error:
            raise Unusable(
                "time-unreadable", f"the time at {_dotted(self._shape.time)} is not {self._shape.time_format}"
            ) from error
        if instant > received_at + MAX_AHEAD_MS:
            raise Unusable(
                "time-in-the-future",
                f"the time is {instant - received_at} ms after its arrival, at most {MAX_AHEAD_MS} are taken",
            )
        if instant < received_at - self._shape.max_past_ms:
            raise Unusable(
                "time-too-old",
                f"the time is {received_at - instant} ms before its arrival; "
                f"at most {self._shape.max_past_ms} are taken",
            )
        return instant

    def _sequence(self, tree: Mapping[str, object]) -> int | None:
        if self._shape.sequence is None:
            return None
        found = _at(tree, self._shape.sequence)
        if type(found) is int and 0 <= found < 2**63:
            return found
        if found is not None:
            self._reject("wrong-type", _dotted(self._shape.sequence), found)
        return None

    def _position(self, tree: Mapping[str, object]) -> Position | None:
        shape = self._shape
        if shape.latitude is None or shape.longitude is None:
            return None
        latitude, longitude = _at(tree, shape.latitude), _at(tree, shape.longitude)
        if latitude is None and longitude is None:
            return None
        if not (_is_number(latitude) and _is_number(longitude)):
            self._reject("wrong-type", "position", latitude)
            return None
        degrees = float(latitude), float(longitude)  # type: ignore[arg-type]
        # (0, 0) is what receivers say that have no fix.
        if not (-90 <= degrees[0] <= 90 and -180 <= degrees[1] <= 180) or degrees == (0.0, 0.0):
            self._reject("out-of-range", "position", latitude)
            return None
        accuracy = _at(tree, shape.accuracy) if shape.accuracy is not None else None
        if accuracy is not None and not (_is_number(accuracy) and 0 <= float(accuracy) < math.inf):  # type: ignore[arg-type]
            self._reject("wrong-type", "accuracy", accuracy)
            accuracy = None
        return Position(*degrees, None if accuracy is None else float(accuracy))  # type: ignore[arg-type]


def decode_json(payload: bytes) -> object:
    """JSON (RFC 8259). Raises Unusable."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unusable(
            "payload-undecodable",
            f"the payload is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
        ) from None


CODECS: Mapping[str, Decode] = {"application/json": decode_json, "text/json": decode_json}


def codec_of(content_type: str | None) -> Decode:
    """The decoder of a content type; a payload that does not say what it is, is JSON. Raises Unusable."""
    if content_type is None:
        return decode_json
    media_type = content_type.partition(";")[0].strip().lower()
    decode = CODECS.get(media_type)
    if decode is None and media_type.endswith("+json"):
        return decode_json
    if decode is None:
        raise Unusable(
            "content-type-unknown", f"no codec for {media_type[:100]!r}; known: {', '.join(sorted(CODECS))}"
        )
    return decode


def _to_instant(found: object, time_format: str) -> int:
    if time_format == "rfc3339":
        if type(found) is not str or len(found) > 64:
            raise ValueError(found)
        return parse_instant(found)
    if not _is_number(found):
        raise ValueError(found)
    scale = 1000 if time_format == "unixSeconds" else 1
    instant = int(found * scale)  # type: ignore[operator]
    if not EARLIEST <= instant <= LATEST:
        raise ValueError(found)
    return instant


def _is_number(value: object) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _at(tree: object, path: Sequence[str]) -> object:
    for key in path:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree


def _dotted(path: Iterable[str]) -> str:
    return ".".join(path)


def _name(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}.get(
        type(value), "value"
    )
