"""Functions over strings, and RE2's regular expressions.

Lengths and positions count code points. The functions beyond the standard ones (charAt, indexOf, split, …)
are those of CEL's strings extension.
"""

from functools import lru_cache
from typing import Any, Final

import re2

from rules.language.operations import LIST_LIMIT, TEXT_LIMIT, no_overload
from rules.language.values import EvaluationError

PATTERN_LIMIT: Final = 1_000
"""Longest regular expression, in characters; RE2 bounds its program, to MEMORY_LIMIT bytes."""
MEMORY_LIMIT: Final = 1 << 20

_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
# Unicode's White_Space, which is not quite what str.strip() strips.
_BLANKS: Final = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)


def _string(what: str, *values: Any) -> None:
    if any(type(value) is not str for value in values):
        raise no_overload(what, *values)


@lru_cache(maxsize=256)
def pattern(text: str) -> Any:
    """Compile a regular expression. Raises EvaluationError."""
    if len(text) > PATTERN_LIMIT:
        raise EvaluationError(f"a regular expression of more than {PATTERN_LIMIT} characters")
    options = re2.Options()
    options.max_mem = MEMORY_LIMIT
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0]
        if isinstance(reason, bytes):
            reason = reason.decode(errors="replace")
        raise EvaluationError(f"not a regular expression of RE2: {reason}") from None


def matches(text: Any, expression: Any) -> bool:
    """`text.matches(expression)`: anywhere in the text."""
    _string("matches()", text, expression)
    return pattern(expression).search(text) is not None


def contains(text: Any, part: Any) -> bool:
    """`text.contains(part)`."""
    _string("contains()", text, part)
    return part in text


def starts_with(text: Any, part: Any) -> bool:
    """`text.startsWith(part)`."""
    _string("startsWith()", text, part)
    return bool(text.startswith(part))


def ends_with(text: Any, part: Any) -> bool:
    """`text.endsWith(part)`."""
    _string("endsWith()", text, part)
    return bool(text.endswith(part))


def lower_ascii(text: Any) -> str:
    """`text.lowerAscii()`."""
    _string("lowerAscii()", text)
    return str(text.translate(_LOWER))


def upper_ascii(text: Any) -> str:
    """`text.upperAscii()`."""
    _string("upperAscii()", text)
    return str(text.translate(_UPPER))


def trim(text: Any) -> str:
    """`text.trim()`: without Unicode's white space at both ends."""
    _string("trim()", text)
    return str(text.strip(_BLANKS))


def char_at(text: Any, position: Any) -> str:
    """`text.charAt(position)`: one character, or none just behind the last."""
    _string("charAt()", text)
    if not 0 <= _count("charAt()", position) <= len(text):
        raise EvaluationError(f"position {position} is outside a text of {len(text)}")
    return str(text[position : position + 1])


def substring(text: Any, start: Any, end: Any = None) -> str:
    """`text.substring(start, end)`: the end is left out."""
    _string("substring()", text)
    end = len(text) if end is None else _count("substring()", end)
    if not 0 <= _count("substring()", start) <= end <= len(text):
        raise EvaluationError(f"there is no part {start} to {end} of a text of {len(text)}")
    return str(text[start:end])


def index_of(text: Any, part: Any, start: Any = 0) -> int:
    """`text.indexOf(part, start)`: -1 where there is none."""
    _string("indexOf()", text, part)
    if not 0 <= _count("indexOf()", start) <= len(text):
        raise EvaluationError(f"position {start} is outside a text of {len(text)}")
    return int(text.find(part, start))


def last_index_of(text: Any, part: Any, start: Any = None) -> int:
    """`text.lastIndexOf(part, start)`: the last one that begins at `start` or before."""
    _string("lastIndexOf()", text, part)
    if start is None:
        return int(text.rfind(part))
    if not 0 <= _count("lastIndexOf()", start) <= len(text):
        raise EvaluationError(f"position {start} is outside a text of {len(text)}")
    return int(text.rfind(part, 0, start + len(part)))


def replace(text: Any, old: Any, new: Any, limit: Any = -1) -> str:
    """`text.replace(old, new, limit)`: a negative limit is none."""
    _string("replace()", text, old, new)
    limit = max(-1, _count("replace()", limit))
    times = text.count(old) if limit < 0 else min(limit, text.count(old))
    if len(text) + times * (len(new) - len(old)) > TEXT_LIMIT:
        raise EvaluationError(f"a text of more than {TEXT_LIMIT} characters")
    return str(text.replace(old, new, limit))


def split(text: Any, separator: Any, limit: Any = -1) -> list[str]:
    """`text.split(separator, limit)`: at most so many parts; an empty separator gives the characters."""
    _string("split()", text, separator)
    limit = _count("split()", limit)
    if limit == 0:
        return []
    if limit == 1:
        return [text]
    if separator:
        parts: list[str] = text.split(separator, -1 if limit < 0 else limit - 1)
    else:
        characters = len(text) if limit < 0 else min(len(text), limit - 1)
        parts = list(text[:characters]) + ([text[characters:]] if characters < len(text) or not text else [])
    if len(parts) > LIST_LIMIT:
        raise EvaluationError(f"a list of more than {LIST_LIMIT} elements")
    return parts


def join(parts: Any, separator: Any = "") -> str:
    """`parts.join(separator)`."""
    if type(parts) is not list:
        raise no_overload("join()", parts)
    _string("join()", separator, *parts)
    if sum(map(len, parts)) + len(separator) * len(parts) > TEXT_LIMIT:
        raise EvaluationError(f"a text of more than {TEXT_LIMIT} characters")
    return str(separator.join(parts))


def _count(what: str, value: Any) -> int:
    if type(value) is not int:
        raise no_overload(what, value)
    return value
