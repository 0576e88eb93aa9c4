"""A settings file is a tree of texts, each with its line; types come later, from the model.

A scalar means the same here as in the environment, whatever YAML thinks of `on` or `22:00`; only
`null` (and nothing) is read, as "not set".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Union

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH = 20

Tree = Union["Scalar", dict[str, "Entry"], list["Tree"]]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text of the file."""

    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands behind a key, with the key's line (from 1)."""

    line: int
    value: Tree | None


def read_settings_file(path: Path) -> tuple[dict[str, Entry], list[str]]:
    """The entries of the file, and everything that is wrong with its form."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, [f"{path}: there is no such file"]
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{path}: cannot be read: {error}"]
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        return {}, [f"{path}{place}: is not YAML: {error.problem or error.context}"]
    except (yaml.YAMLError, RecursionError) as error:
        return {}, [f"{path}: is not YAML: {error}"]
    problems: list[str] = []
    if root is None:
        return {}, []
    if not isinstance(root, yaml.MappingNode):
        return {}, [f"{path}:1: holds keys with values, such as `httpPort: 8080`"]
    tree = _tree(root, str(path), problems, _DEPTH)
    return (tree if isinstance(tree, dict) else {}), problems


def _tree(node: yaml.Node, file: str, problems: list[str], depth: int) -> Tree | None:
    line = node.start_mark.line + 1
    if depth == 0:
        problems.append(f"{file}:{line}: is nested too deeply")
        return None
    if isinstance(node, yaml.MappingNode):
        entries: dict[str, Entry] = {}
        for key, value in node.value:
            place = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                problems.append(f"{file}:{place}: a key is a plain word")
            elif key.value in entries:
                problems.append(
                    f"{file}:{place}: {key.value} stands here again, first in line {entries[key.value].line}"
                )
            else:
                entries[key.value] = Entry(place, _tree(value, file, problems, depth - 1))
        return entries
    if isinstance(node, yaml.SequenceNode):
        items = [_tree(item, file, problems, depth - 1) for item in node.value]
        return [item for item in items if item is not None]
    if node.tag == "tag:yaml.org,2002:null":
        return None
    return Scalar(str(node.value))
