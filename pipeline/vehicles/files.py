"""Files with a whole fleet: CSV with a column for each label and attribute, JSON, and JSON lines.

    vehicleId,labels.model,attributes.speedLimit,attributes.depot:string
    v1,ET5,90,007

JSON is what `telltale vehicles list --json` prints: an object a vehicle, in a list or a line each.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.process.failures import ConfigurationError
from pipeline.vehicles.declared import type_of
from pipeline.vehicles.entries import KINDS, Sheet, typed_name, value_of
from rules.documents.signal_catalog import VehicleFacts

ID = "vehicleId"
_LONGEST_LINE = 1 << 20


def read_files(paths: list[Path], facts: VehicleFacts | None = None) -> Sheet:
    """Read all files, and hold them to what a catalog declares, if one is given.

    ConfigurationError for what cannot be opened or is of no known kind.
    """
    sheet = Sheet(facts=facts)
    for path in paths:
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise ConfigurationError(f"{path}: a file of vehicles ends in {', '.join(_READERS)}")
        try:
            text = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror or error}") from None
        try:
            decoded = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            sheet.problem(str(path), text.count(b"\n", 0, error.start) + 1, f"not UTF-8 ({error.reason})")
            continue
        if not decoded.strip():
            sheet.problem(str(path), 1, "it is empty")
            continue
        reader(sheet, str(path), decoded)
    return sheet


def _read_csv(sheet: Sheet, file: str, text: str) -> None:
    lines = text.splitlines(keepends=True)
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    try:
        header = [cell.strip() for cell in next(reader)]
        columns = _columns(sheet, file, header)
        if columns is None:
            return
        line = reader.line_num + 1
        for cells in reader:
            _row(sheet, file, line, columns, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        sheet.problem(file, reader.line_num, str(error))


Column = tuple[str, str, str | None]
"""(vehicleId, labels or attributes; name; type)."""


def _columns(sheet: Sheet, file: str, header: list[str]) -> list[Column] | None:
    """What each column holds; None after noting what is wrong with the header."""
    columns: list[Column] = []
    before = len(sheet.problems)
    for place, cell in enumerate(header):
        kind, _, written = cell.partition(".")
        if cell == ID:
            columns.append((ID, "", None))
        elif kind in KINDS and written:
            name, type_ = typed_name(written) if kind == "attributes" else (written, None)
            if kind == "attributes":
                type_ = type_ or type_of(sheet.facts, name)
            columns.append((kind, name, type_))
        else:
            sheet.problem(
                file,
                1,
                f"column {cell!r}: a column is {ID}, labels.NAME, attributes.NAME or attributes.NAME:TYPE",
            )
        if cell in header[:place]:
            sheet.problem(file, 1, f"column {cell!r} is there twice")
    if ID not in header:
        sheet.problem(file, 1, f"there is no column {ID}")
    return columns if len(sheet.problems) == before else None


def _row(sheet: Sheet, file: str, line: int, columns: list[Column], cells: list[str]) -> None:
    if not any(cell.strip() for cell in cells):
        return
    if len(cells) > len(columns):
        sheet.problem(file, line, f"{len(cells)} cells, the header has {len(columns)}")
        return
    said: dict[str, dict[str, Any]] = {ID: {}, "labels": {}, "attributes": {}}
    before = len(sheet.problems)
    for (kind, name, type_), cell in zip(columns, cells, strict=False):
        content = cell.strip()
        if not content:
            continue
        try:
            said[kind][name] = value_of(content, type_) if kind == "attributes" else content
        except ValueError as error:
            sheet.problem(file, line, f"the attribute {name!r}: {error}")
    if len(sheet.problems) == before:
        sheet.add(file, line, said[ID].get(""), said["labels"], said["attributes"])


def _read_json(sheet: Sheet, file: str, text: str) -> None:
    begin = len(text) - len(text.lstrip())
    if text[begin] != "[":
        _read_object(sheet, file, text, begin, text.count("\n", 0, begin) + 1)
        return
    try:
        for line, value in _elements(text, begin + 1):
            _take(sheet, file, line, value)
    except json.JSONDecodeError as error:
        sheet.problem(file, error.lineno, f"column {error.colno}: {error.msg}")
    except RecursionError:
        sheet.problem(file, 1, "it is nested too deep")


def _elements(text: str, position: int) -> Iterator[tuple[int, Any]]:
    """Each element of a list with its line. JSONDecodeError at the first place that is no JSON."""
    decoder = json.JSONDecoder()
    line, counted = 1, 0
    expects = True
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if text[position : position + 1] == "]":
            rest = text[position + 1 :].lstrip()
            if rest:
                raise json.JSONDecodeError("more after the list", text, len(text) - len(rest))
            return
        if not expects:
            if text[position : position + 1] != ",":
                raise json.JSONDecodeError("a comma or ] is missing", text, position)
            position, expects = position + 1, True
            continue
        line += text.count("\n", counted, position)
        counted = position
        value, position = decoder.raw_decode(text, position)
        yield line, value
        expects = False


def _read_lines(sheet: Sheet, file: str, text: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            _read_object(sheet, file, line, 0, number)


def _read_object(sheet: Sheet, file: str, text: str, begin: int, line: int) -> None:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        at = line + error.lineno - 1 - text.count("\n", 0, begin)
        sheet.problem(file, at, f"column {error.colno}: {error.msg}")
    except RecursionError:
        sheet.problem(file, line, "it is nested too deep")
    else:
        _take(sheet, file, line, value)


def _take(sheet: Sheet, file: str, line: int, value: Any) -> None:
    if not isinstance(value, dict):
        sheet.problem(file, line, "a vehicle is an object with vehicleId, labels and attributes")
        return
    unknown = sorted(value.keys() - {ID, *KINDS})
    if unknown:
        sheet.problem(file, line, f"{unknown[0]!r}: the keys of a vehicle are {ID}, labels and attributes")
        return
    said = {kind: value.get(kind) or {} for kind in KINDS}
    wrong = [kind for kind in KINDS if not isinstance(said[kind], dict)]
    if wrong:
        sheet.problem(file, line, f"{wrong[0]} is no object")
        return
    sheet.add(file, line, value.get(ID), said["labels"], said["attributes"])


_READERS: dict[str, Callable[[Sheet, str, str], None]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_lines,
}
