"""What somebody writes down about vehicles: read from files and from words of a command line.

Everything that is wrong is found in one run, each problem with its file and line; a file with a problem is
not used at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.stages.vehicle_ids import vehicle_id_problem
from pipeline.vehicles.declared import misfits, type_of
from rules.documents.signal_catalog import VehicleFacts
from rules.engine import Registration, RegistrationError, registration

KINDS = ("labels", "attributes")
TYPES = ("number", "bool", "string")
_BOOLS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Entry:
    """One vehicle as a file has it."""

    vehicle_id: str
    registration: Registration
    file: str
    line: int


@dataclass(slots=True)
class Sheet:
    """What has been read so far: the entries, and all that is wrong; `facts` is what a catalog declares."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    facts: VehicleFacts | None = None
    _places: dict[str, str] = field(default_factory=dict)

    def problem(self, file: str, line: int, text: str) -> None:
        """Note what is wrong."""
        self.problems.append(f"{file}:{line}: {text}")

    def add(
        self,
        file: str,
        line: int,
        vehicle_id: object,
        labels: Mapping[str, Any],
        attributes: Mapping[str, Any],
    ) -> None:
        """Take one vehicle, or note all that is wrong with it."""
        if not isinstance(vehicle_id, str):
            self.problem(
                file, line, "vehicleId is missing" if vehicle_id is None else "vehicleId is no string"
            )
            return
        try:
            wrong = vehicle_id_problem(vehicle_id.encode())
        except UnicodeEncodeError:
            wrong = "the vehicle id holds half a character"
        problems = [] if wrong is None else [wrong]
        found = None
        try:
            found = registration(labels, attributes)
        except RegistrationError as error:
            problems += error.problems
        if self.facts is not None and not problems:
            problems += misfits(self.facts, labels, attributes)
        place = self._places.setdefault(vehicle_id, f"{file}:{line}")
        if place != f"{file}:{line}":
            problems.append(f"{vehicle_id!r} is there twice, first in {place}")
        for text in problems:
            self.problem(file, line, text)
        if found is not None and not problems:
            self.entries.append(Entry(vehicle_id, found, file, line))


def value_of(text: str, type_: str | None = None) -> float | bool | str:
    """An attribute as a person writes it: a number, true or false, else a string; or of a type that is said.

    ValueError, with a sentence, where it is not of that type.
    """
    if type_ == "string":
        return text
    if type_ in (None, "bool") and text.lower() in _BOOLS:
        return _BOOLS[text.lower()]
    if type_ == "bool":
        raise ValueError(f"{text[:40]!r} is neither true nor false")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number) and "_" not in text:
        return number
    if type_ == "number":
        raise ValueError(f"{text[:40]!r} is no number")
    return text


def typed_name(written: str) -> tuple[str, str | None]:
    """`depot:string` as (depot, string); a name alone has no type."""
    name, colon, type_ = written.rpartition(":")
    return (name, type_) if colon and type_ in TYPES else (written, None)


def pairs_of(
    labels: Sequence[str], attributes: Sequence[str], facts: VehicleFacts | None = None
) -> tuple[dict[str, str], dict[str, float | bool | str], list[str]]:
    """The options `--label k=v` and `--attribute k=v` (or `k:string=v`), and what is wrong with them."""
    problems: list[str] = []
    found_labels: dict[str, str] = {}
    found_attributes: dict[str, float | bool | str] = {}
    for word in labels:
        name, equals, text = word.partition("=")
        if not equals:
            problems.append(f"--label {word}: write NAME=VALUE")
        found_labels[name] = text
    for word in attributes:
        written, equals, text = word.partition("=")
        if not equals:
            problems.append(f"--attribute {word}: write NAME=VALUE")
            continue
        name, type_ = typed_name(written)
        try:
            found_attributes[name] = value_of(text, type_ or type_of(facts, name))
        except ValueError as error:
            problems.append(f"--attribute {word}: {error}")
    if facts is not None:
        problems += misfits(facts, found_labels, found_attributes)
    return found_labels, found_attributes, problems
