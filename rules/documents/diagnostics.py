"""A finding about what an author wrote: a stable code, a place, what was wrong, and what to do.

Findings are values, gathered and shown all at once; nothing here is raised. Codes never change their meaning:
people search for them and silence them. TT0xx is about one text or one document, TT1xx about an expression,
TT2xx about documents that do not fit together.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Path = tuple[str | int, ...]
"""The way to a value inside a document, in the author's own keys: ("spec", "actions", 0, "command")."""

_LONGEST_QUOTE = 60
_LONGEST_KEY = 200
_WORD = re.compile(r"[\w-]+\Z")
_NAME = re.compile(r"[\w.-]{1,200}\Z")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding; `line` and `column` count from 1 in characters, `path` is as `write_path` writes it."""

    code: str
    severity: Literal["error", "warning"]
    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str | None = None

    def format(self) -> str:
        """Return the line, or two with the hint, that a person reads."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        about = f"{self.path}: " if self.path else ""
        text = f"{place}: {self.severity}[{self.code}] {about}{self.message}"
        return f"{text}\n    hint: {self.hint}" if self.hint else text


def write_path(path: Path) -> str:
    """Return `path` as people write it: `spec.actions[0].command`; an odd key is quoted in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif (_WORD.match(step) and len(step) <= _LONGEST_KEY) or (not text and _NAME.match(step)):
            text += f".{step}" if text else step
        else:
            text += f"[{quote(step, _LONGEST_KEY)}]"
    return text


def quote(value: object, longest: int = _LONGEST_QUOTE) -> str:
    """Return what the author wrote as a short, printable quotation for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return `did you mean 'x'?` for the known word nearest to `word`, None if none is near."""
    if len(word) > 4 * _LONGEST_QUOTE:
        return None
    lowered = {each.lower(): each for each in known}
    near = get_close_matches(word.lower(), lowered, n=1, cutoff=0.7)
    return f"did you mean {quote(lowered[near[0]])}?" if near else None
