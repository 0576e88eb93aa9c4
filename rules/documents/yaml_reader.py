"""YAML text becomes nodes that know their place, under YAML 1.2's core schema and within bounds.

The one importer of the YAML parser. Events of libyaml rather than its composer: that one recurses as deep as
the text nests and keeps the last of two equal keys, this one refuses both, and counts what aliases expand to
before anybody walks it. YAML 1.2 because 1.1 reads `on` as true and `22:00` as 1320; where a reader of 1.1
(kubectl) would see another value than we do, there is a warning.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from rules.documents.diagnostics import quote

LONGEST_BYTES = 4 * 1024 * 1024
DEEPEST = 48
MOST_NODES = 200_000

_CORE = "tag:yaml.org,2002:"
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_OTHERWISE_IN_1_1 = re.compile(
    r"(?:yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)\Z|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z"
    r"|[-+]?0[0-7_]+\Z|0o[0-7]+\Z"
)
_LONGEST_INT = 25


class Origin(NamedTuple):
    """The file that a node stands in, and its text."""

    file: str
    text: str


@dataclass(slots=True)
class Node:
    """A value and where it stands: a scalar, a dict of key to Node, or a list of Node."""

    value: Any
    line: int
    column: int
    start: int
    end: int
    style: str | None = None
    """A scalar's: None for a plain one, else its mark: ' " | or >."""
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """A mapping's: where each key stands."""
    size: int = 1
    depth: int = 1
    origin: Origin | None = None
    """Where the node and what is below it came from, if that is another document."""

    def plain(self) -> Any:
        """Return the value without places, fresh lists and dicts all the way down."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class YamlFinding:
    """Something wrong in the text itself, before anybody asks what it means."""

    code: str
    line: int
    column: int
    message: str
    hint: str | None = None
    is_error: bool = True


class _Stop(Exception):
    """The text cannot be read further."""

    def __init__(self, finding: YamlFinding) -> None:
        self.finding = finding


def read_yaml(text: str) -> tuple[list[Node], list[YamlFinding]]:
    """Return the documents of `text` and what is wrong with it; what stands before a fault is still read."""
    text = text.removeprefix("\ufeff")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        column = error.start - text.rfind("\n", 0, error.start)
        return [], [YamlFinding("TT001", line, column, "the text holds half of a surrogate pair")]
    if size > LONGEST_BYTES:
        message = f"the text has {size:,} bytes; at most {LONGEST_BYTES:,} are read"
        return [], [YamlFinding("TT002", 1, 1, message, "split it into several files")]
    reader = _Reader(yaml.CSafeLoader(text))
    try:
        reader.read()
    except _Stop as stop:
        reader.findings.append(stop.finding)
    except yaml.YAMLError as error:
        reader.findings.append(_syntax_finding(error))
    finally:
        reader.loader.dispose()
    return reader.documents, reader.findings


def _syntax_finding(error: yaml.YAMLError) -> YamlFinding:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        message = ", ".join(part for part in (error.context, error.problem) if part)
        hint = "indent with spaces" if "\\t" in message or "tab" in message else None
        return YamlFinding("TT001", *place, message or "this is not YAML", hint)
    reason = getattr(error, "reason", None) or str(error).partition("\n")[0]
    return YamlFinding("TT001", 1, 1, f"this is not YAML: {reason}")


def _index(mark: Any) -> int:
    return int(mark.index)


class _Reader:
    def __init__(self, loader: "yaml.CSafeLoader") -> None:
        self.loader: Any = loader
        self.findings: list[YamlFinding] = []
        self.documents: list[Node] = []
        self.anchors: dict[str, Node | None] = {}
        self.nodes = 0

    def read(self) -> None:
        while not isinstance(event := self.loader.get_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}
                node = self.node(self.loader.get_event(), 1)
                if node.value is not None or node.end > node.start:
                    self.documents.append(node)

    def node(self, event: Any, depth: int) -> Node:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, depth)
        if depth > DEEPEST:
            message = f"nested deeper than {DEEPEST} levels"
            raise _Stop(YamlFinding("TT002", mark.line + 1, mark.column + 1, message))
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node = Node(None, mark.line + 1, mark.column + 1, mark.index, event.end_mark.index)
        self.count(node, 1)
        if isinstance(event, yaml.ScalarEvent):
            node.style = event.style or None
            node.value = self.scalar(event, node)
        elif isinstance(event, yaml.SequenceStartEvent):
            self.refuse_tag(event, node)
            self.sequence(node, depth)
        else:
            self.refuse_tag(event, node)
            self.mapping(node, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def count(self, node: Node, amount: int) -> None:
        self.nodes += amount
        if self.nodes > MOST_NODES:
            message = f"more than {MOST_NODES:,} values, aliases counted as what they stand for"
            raise _Stop(YamlFinding("TT002", node.line, node.column, message, "split it into several files"))

    def alias(self, event: Any, depth: int) -> Node:
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if event.anchor not in self.anchors:
            raise _Stop(YamlFinding("TT001", *place, f"the alias *{event.anchor} stands for no anchor"))
        known = self.anchors[event.anchor]
        if known is None:
            raise _Stop(
                YamlFinding("TT005", *place, f"the alias *{event.anchor} stands inside its own anchor")
            )
        self.count(known, known.size)
        if depth + known.depth - 1 > DEEPEST:
            raise _Stop(YamlFinding("TT002", *place, f"nested deeper than {DEEPEST} levels"))
        return known

    def sequence(self, node: Node, depth: int) -> None:
        node.value = []
        while not isinstance(event := self.loader.get_event(), yaml.SequenceEndEvent):
            child = self.node(event, depth + 1)
            node.value.append(child)
            node.size += child.size
            node.depth = max(node.depth, child.depth + 1)
        node.end = _index(event.end_mark)

    def mapping(self, node: Node, depth: int) -> None:
        node.value = {}
        while not isinstance(event := self.loader.get_event(), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(self.loader.get_event(), depth + 1)
            node.size += key.size + value.size
            node.depth = max(node.depth, key.depth + 1, value.depth + 1)
            if not isinstance(key.value, str):
                what = "a list or a mapping" if isinstance(key.value, list | dict) else quote(key.value)
                self.found("TT004", key, f"a key is a text, not {what}", "put the key in quotes")
            elif key.value in node.keys:
                line, column = node.keys[key.value]
                message = f"the key {quote(key.value)} stands here twice"
                self.found("TT003", key, message, f"the first one is at {line}:{column}; keep one of them")
            else:
                node.keys[key.value] = (key.line, key.column)
                node.value[key.value] = value
        node.end = _index(event.end_mark)

    def found(
        self, code: str, node: Node, message: str, hint: str | None = None, is_error: bool = True
    ) -> None:
        self.findings.append(YamlFinding(code, node.line, node.column, message, hint, is_error))

    def refuse_tag(self, event: Any, node: Node) -> None:
        if event.tag not in (None, "!", _CORE + "map", _CORE + "seq"):
            self.found("TT005", node, f"the tag {quote(event.tag)} has no meaning here", "leave the tag out")

    def scalar(self, event: Any, node: Node) -> Any:
        text: str = event.value
        if event.tag == _CORE + "str" or event.tag == "!":
            return text
        if event.tag is not None:
            self.found("TT005", node, f"the tag {quote(event.tag)} has no meaning here", "leave the tag out")
            return text
        if not event.implicit[0]:
            return text
        if _OTHERWISE_IN_1_1.match(text):
            message = f"a reader of YAML 1.1, kubectl among them, takes {text} for something else"
            self.found("TT007", node, message, f'write "{text}" for the text', is_error=False)
        return self.plain_scalar(text, node)

    def plain_scalar(self, text: str, node: Node) -> Any:
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.match(text):
            number = int(text, 0 if text[:2] in ("0o", "0x") else 10) if len(text) <= _LONGEST_INT else None
            if number is not None and -(2**63) <= number < 2**63:
                return number
            self.found(
                "TT006", node, "this number does not fit into 64 bits", "put it in quotes if it is a text"
            )
            return 0
        if _FLOAT.match(text) and math.isfinite(float(text)):
            return float(text)
        if _FLOAT.match(text) or _NOT_FINITE.match(text):
            self.found(
                "TT006", node, f"{quote(text)} is not a finite number", "put it in quotes if it is a text"
            )
            return 0.0
        return text
