"""A document beside the text that it came from: every value knows its line and column.

Places live here and not inside the values, so that models stay what they mean. A place inside a scalar (an
error at column 9 of an expression) is found by walking the author's text: block and folded scalars, quotes
and escapes all move characters, so adding columns to the scalar's start would point at the wrong one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from rules.documents.closed import Finding
from rules.documents.diagnostics import Diagnostic, Path, write_path
from rules.documents.yaml_reader import Node, Origin

M = TypeVar("M", covariant=True)

_ESCAPED_SPACES = "tnvfr \tN_LP"
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}
_PROPERTIES = ("&", "!")
_BREAKS = "\n\r\x85\u2028\u2029"


@dataclass(frozen=True, slots=True, eq=False)
class Placed(Generic[M]):
    """`document`, read from `file`; `root` and `text` are where the places come from."""

    document: M
    file: str
    root: Node
    text: str

    def node(self, path: Path) -> Node | None:
        """Return the node at `path`; None if there is none."""
        node: Node | None = self.root
        for step in path:
            node = _child(node, step) if node is not None else None
        return node

    def position(self, path: Path = (), *, of_key: bool = False) -> tuple[int, int]:
        """Return line and column of the value at `path`, or of its key; of the nearest above if none."""
        node, place = self.root, (self.root.line, self.root.column)
        for index, step in enumerate(path):
            child = _child(node, step)
            if child is None:
                break
            is_last = index == len(path) - 1
            place = (
                node.keys[str(step)]
                if of_key and is_last and step in node.keys
                else (child.line, child.column)
            )
            node = child
        return place

    def origin(self, path: Path = ()) -> Origin:
        """Return the text that the value at `path`, or the nearest above, stands in."""
        node: Node | None = self.root
        origin = Origin(self.file, self.text)
        for step in path:
            node = _child(node, step) if node is not None else None
            if node is None:
                break
            origin = node.origin or origin
        return origin

    def place(self, path: Path) -> str:
        """Return file, line and column of the value at `path`, as findings write them."""
        line, column = self.position(path)
        return f"{self.origin(path).file}:{line}:{column}"

    def text_position(self, path: Path, line: int = 1, column: int = 1) -> tuple[int, int]:
        """Return where, in the file, line and column (from 1) of the scalar at `path` stand."""
        node = self.node(path)
        if node is None or not isinstance(node.value, str):
            return self.position(path)
        return _inside(self.origin(path).text, node, line, column)

    def diagnostic(
        self,
        code: str,
        path: Path,
        message: str,
        *,
        hint: str | None = None,
        severity: Literal["error", "warning"] = "error",
        at: tuple[int, int] | None = None,
        of_key: bool = False,
    ) -> Diagnostic:
        """Return a finding about the value at `path`; `at` is a line and column inside its text."""
        place = self.position(path, of_key=of_key) if at is None else self.text_position(path, *at)
        file = self.origin(path).file
        return Diagnostic(code, severity, file, *place, write_path(path), message, hint)

    def finding(self, finding: Finding) -> Diagnostic:
        """Return a finding of the document about itself, with its place."""
        it = finding
        return self.diagnostic(
            it.code, it.path, it.message, hint=it.hint, severity=it.severity, of_key=it.of_key
        )


def _child(node: Node, step: str | int) -> Node | None:
    match node.value, step:
        case dict(), str():
            found: Node | None = node.value.get(step)
            return found
        case list(), int() if 0 <= step < len(node.value):
            child: Node = node.value[step]
            return child
    return None


def _inside(text: str, node: Node, line: int, column: int) -> tuple[int, int]:
    """Folding adds and removes only white space: the n-th other character is the n-th in the source, too."""
    value: str = node.value
    lines = value.split("\n")
    line = min(max(line, 1), len(lines))
    offset = sum(len(each) + 1 for each in lines[: line - 1]) + min(column - 1, len(lines[line - 1]))
    before = sum(not character.isspace() for character in value[:offset])
    spaces = 0
    while before and offset > spaces and value[offset - spaces - 1].isspace():
        spaces += 1
    is_space = offset >= len(value) or value[offset].isspace()
    place = (node.line, node.column)
    for count, (at_line, at_column, width) in enumerate(_characters(text, node)):
        if count == before and not is_space:
            return at_line, at_column
        if count == before - 1:
            place = (at_line, at_column + width + spaces)
            if is_space:
                return place
    return place


def _characters(text: str, node: Node) -> Iterator[tuple[int, int, int]]:
    """Yield line, column and width in the source of each character of the scalar that is not white space."""
    index, line, column = node.start, node.line, node.column
    end = min(node.end, len(text))

    def skip(count: int) -> None:
        nonlocal index, line, column
        for _ in range(count):
            character = text[index : index + 1]
            is_break = character != "" and character in _BREAKS and text[index : index + 2] != "\r\n"
            line, column = (line + 1, 1) if is_break else (line, column + 1)
            index += 1

    while text[index : index + 1] in _PROPERTIES and index < end:
        while index < end and not text[index].isspace():
            skip(1)
        while index < end and (text[index].isspace() or text[index] == "#"):
            skip(len(text[index:end].split("\n", 1)[0]) if text[index] == "#" else 1)
    if node.style in ("'", '"'):
        skip(1)
        end -= 1
    elif node.style in ("|", ">"):
        while index < end and text[index] not in _BREAKS:
            skip(1)
    while index < end:
        width = _width(text, index, node.style)
        character = text[index]
        is_space = character.isspace() if width == 1 else _is_escaped_space(text, index, width, node.style)
        if not is_space:
            yield line, column, width
        skip(width)


def _width(text: str, index: int, style: str | None) -> int:
    if style == "'" and text.startswith("''", index):
        return 2
    if style == '"' and text[index] == "\\":
        return 2 + _HEX_ESCAPES.get(text[index + 1 : index + 2], 0)
    return 1


def _is_escaped_space(text: str, index: int, width: int, style: str | None) -> bool:
    if style == "'":
        return False
    escaped = text[index + 1]
    if width > 2:
        digits = text[index + 2 : index + width]
        return chr(int(digits, 16)).isspace()
    if escaped in _BREAKS:
        return True  # an escaped end of line is no character at all
    return escaped in _ESCAPED_SPACES
