"""Samples as an author writes them: `90 135x9 90 _x3 0..135x10`, one for each instant of a test.

After promtool's notation, made unambiguous: `135x9` is nine samples of 135, `_` is nothing sent, and
`0..135x10` ten samples in equal steps from the one value to the other. Words, and texts in quotes, are for
signals that are no numbers. Positions are `31.2,121.4`, with the accuracy in metres as a third number.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

MOST_SAMPLES = 100_000
"""In one track: more than a day of seconds."""

_ITEM = re.compile(
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>\S+?))(?:x(?P<times>[0-9]{1,9}))?(?=\s|$)"""
)
_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?")
_WORD = re.compile(r"[A-Za-z][\w.-]*\Z")
_OF_PROMTOOL = re.compile(rf"(?:{_NUMBER.pattern})[-+]")
_NOTHING = frozenset(("_", "null"))
_EXAMPLE = 'for example: 90 135x9 _x3 0..135x10 true "a text"'

Value = float | bool | str
Fix = tuple[float, ...]
"""Latitude, longitude, and the accuracy where it is known."""

T = TypeVar("T")


class SampleProblem(Exception):
    """What cannot be read, and where in the text (from 0)."""

    def __init__(self, message: str, offset: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.offset, self.hint = message, offset, hint


class _Item(NamedTuple):
    word: str
    is_quoted: bool
    times: int | None
    offset: int


def read_samples(text: str) -> list[Value | None]:
    """Return the samples of a signal, None for nothing sent. Raises SampleProblem."""
    return _expanded(text, _value, _ramp)


def read_positions(text: str) -> list[Fix | None]:
    """Return the samples of the position, None for none sent. Raises SampleProblem."""
    return _expanded(text, _fix, _way)


def _expanded(
    text: str, one: Callable[[_Item], T], ramp: Callable[[_Item, str, str, int], list[T]]
) -> list[T | None]:
    found: list[T | None] = []
    for item in _items(text):
        times = min(1 if item.times is None else item.times, MOST_SAMPLES + 1)
        begin, dots, end = item.word.partition("..")
        if not item.is_quoted and item.word in _NOTHING:
            found += [None] * times
        elif dots and not item.is_quoted:
            if times < 2:
                raise SampleProblem("a ramp has two samples or more", item.offset, "for example: 0..135x10")
            found += ramp(item, begin, end, times)
        else:
            found += [one(item)] * times
        if len(found) > MOST_SAMPLES:
            message = f"more than {MOST_SAMPLES:,} samples"
            raise SampleProblem(message, item.offset, "take a longer every, or split the test")
    return found


def _items(text: str) -> Iterator[_Item]:
    place = _after_space(text, 0)
    while place < len(text):
        match = _ITEM.match(text, place)
        if match is None:
            raise SampleProblem("a text that does not end", place, _EXAMPLE)
        is_quoted = match["word"] is None
        word = match["word"] or match["double"] or match["single"] or ""
        yield _Item(word, is_quoted, None if match["times"] is None else int(match["times"]), place)
        place = _after_space(text, match.end())


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return place if match is None else match.end()


def _value(item: _Item) -> Value:
    if item.is_quoted:
        return item.word
    if _NUMBER.fullmatch(item.word):
        return float(item.word)
    if item.word in ("true", "false"):
        return item.word == "true"
    if _WORD.match(item.word):
        return item.word
    raise _no_sample(item)


def _ramp(item: _Item, begin: str, end: str, times: int) -> list[Value]:
    if not (_NUMBER.fullmatch(begin) and _NUMBER.fullmatch(end)):
        raise _no_sample(item)
    return list(_between(float(begin), float(end), times))


def _fix(item: _Item) -> Fix:
    parts = item.word.split(",")
    if len(parts) not in (2, 3) or not all(_NUMBER.fullmatch(part) for part in parts):
        message = f"{item.word[:40]!r} is no position"
        raise SampleProblem(message, item.offset, "latitude,longitude in degrees: 31.23,121.47")
    fix = tuple(map(float, parts))
    if (
        not (-90 <= fix[0] <= 90 and -180 <= fix[1] <= 180)
        or fix[:2] == (0.0, 0.0)
        or min(fix[2:], default=0) < 0
    ):
        message = f"{item.word[:40]!r} is nowhere on earth"
        raise SampleProblem(message, item.offset, "latitude is -90 to 90, longitude -180 to 180")
    return fix


def _way(item: _Item, begin: str, end: str, times: int) -> list[Fix]:
    first, last = _fix(item._replace(word=begin)), _fix(item._replace(word=end))
    if len(first) != len(last):
        raise SampleProblem("both ends have an accuracy, or none has", item.offset)
    return list(zip(*(_between(a, b, times) for a, b in zip(first, last, strict=True)), strict=True))


def _between(begin: float, end: float, times: int) -> Iterator[float]:
    """Equal steps, without the noise of binary fractions in what people then read."""
    return (round(begin + (end - begin) * step / (times - 1), 9) for step in range(times))


def _no_sample(item: _Item) -> SampleProblem:
    hint = _EXAMPLE
    if _OF_PROMTOOL.match(item.word):
        hint = "write the first value, the last, and how many: 0..135x10"
    elif "," in item.word:
        hint = "spaces stand between samples"
    return SampleProblem(f"{item.word[:40]!r} is no sample", item.offset, hint)
