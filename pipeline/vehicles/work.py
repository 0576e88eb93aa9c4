"""What `telltale vehicles` does and prints: a line for people, JSON for programs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.process.failures import ConfigurationError
from pipeline.process.settings import ProcessSettings, load_settings
from pipeline.process.times import format_time
from pipeline.stages.documents import load_catalog
from pipeline.stages.vehicle_ids import vehicle_id_problem
from pipeline.vehicles.entries import pairs_of
from pipeline.vehicles.files import read_files
from pipeline.vehicles.store import Known, Registry, as_record
from rules.documents.signal_catalog import VehicleFacts
from rules.engine import NOTHING, Registration, RegistrationError, registration

_MOST_PROBLEMS = 200


class VehiclesSettings(ProcessSettings):
    """What commands that write read: the rules of the stages too, whose catalog may declare what is said."""

    rules: tuple[Path, ...] = Field(
        default=(), description="files and directories of rule documents; default: the library that ships"
    )


def _declared(settings: VehiclesSettings, rules: Sequence[Path]) -> VehicleFacts | None:
    """What the rules' catalog declares of vehicles; None where no rules are named, or it says nothing."""
    paths = rules or settings.rules
    return load_catalog(paths).spec.vehicle if paths else None


def import_files(
    paths: list[Path], config: Path | None, *, rules: Sequence[Path], dry_run: bool, as_json: bool
) -> int:
    """Write the vehicles of all files; nothing, and exit code 1, if anything in them is wrong."""
    settings = load_settings(VehiclesSettings, config)
    sheet = read_files(paths, _declared(settings, rules))
    if sheet.problems:
        if as_json:
            print(json.dumps({"problems": sheet.problems}, indent=2, ensure_ascii=False))
        for problem in sheet.problems[:_MOST_PROBLEMS]:
            print(problem, file=sys.stderr)
        more = len(sheet.problems) - _MOST_PROBLEMS
        if more > 0:
            print(f"and {more} more", file=sys.stderr)
        print(f"telltale: {_count(len(sheet.problems), 'problem')}; nothing was written", file=sys.stderr)
        return 1
    wanted = {entry.vehicle_id: entry.registration for entry in sheet.entries}
    new, changed, same = asyncio.run(_import(settings, wanted, dry_run=dry_run))
    if as_json:
        print(json.dumps({"new": new, "changed": changed, "unchanged": same, "written": not dry_run}))
    else:
        would = " would be" if dry_run else ""
        print(
            f"{_count(len(wanted), 'vehicle')}: {new}{would} new, {changed}{would} changed, {same} as before"
        )
    return 0


async def _import(
    settings: ProcessSettings, wanted: Mapping[str, Registration], *, dry_run: bool
) -> tuple[int, int, int]:
    async with Registry(settings) as registry:
        known = await registry.read()
        differing = {
            vehicle_id: said
            for vehicle_id, said in wanted.items()
            if vehicle_id not in known or not _same(known[vehicle_id], said)
        }
        if not dry_run:
            await registry.write(differing)
        new = sum(vehicle_id not in known for vehicle_id in differing)
        return new, len(differing) - new, len(wanted) - len(differing)


def set_one(
    vehicle_id: str,
    config: Path | None,
    *,
    labels: Sequence[str],
    attributes: Sequence[str],
    removed: Sequence[str],
    rules: Sequence[Path],
    as_json: bool,
) -> int:
    """Change some labels and attributes of one vehicle; the others stay."""
    _check_ids([vehicle_id])
    settings = load_settings(VehiclesSettings, config)
    new_labels, new_attributes, problems = pairs_of(labels, attributes, _declared(settings, rules))
    for name in removed:
        kind, _, rest = name.partition(".")
        if kind not in ("labels", "attributes") or not rest:
            problems.append(f"--remove {name}: write labels.NAME or attributes.NAME")
    if not (labels or attributes or removed):
        problems.append("nothing to set: give --label, --attribute or --remove")
    try:
        registration(new_labels, new_attributes)
    except RegistrationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(f"{vehicle_id}: nothing was written", problems)

    async def work() -> Registration:
        async with Registry(settings) as registry:
            known = (await registry.read(vehicle_id)).get(vehicle_id, Known(None)).registration or NOTHING
            gone = frozenset(removed)
            try:
                said = registration(
                    {name: it for name, it in known.labels.items() if f"labels.{name}" not in gone}
                    | new_labels,
                    {name: it for name, it in known.attributes.items() if f"attributes.{name}" not in gone}
                    | new_attributes,
                )
            except RegistrationError as error:
                raise ConfigurationError(f"{vehicle_id}: nothing was written", error.problems) from None
            await registry.write({vehicle_id: said})
            return said

    said = asyncio.run(work())
    print(_json(vehicle_id, Known(said)) if as_json else _line(vehicle_id, Known(said)))
    return 0


def get_one(vehicle_id: str, config: Path | None, *, as_json: bool) -> int:
    """Print what the registry says of one vehicle; exit code 1 if it does not have it."""
    settings = load_settings(ProcessSettings, config)

    async def work() -> Known | None:
        async with Registry(settings) as registry:
            return (await registry.read(vehicle_id)).get(vehicle_id)

    known = asyncio.run(work())
    if known is None:
        print(f"telltale: the registry does not have {vehicle_id}", file=sys.stderr)
        return 1
    if as_json:
        print(_json(vehicle_id, known))
    else:
        for line in _page(vehicle_id, known):
            print(line)
    return 0 if known.registration is not None else 1


def list_all(config: Path | None, *, labels: Sequence[str], as_json: bool) -> int:
    """Print every vehicle that the registry has, or those with certain labels."""
    settings = load_settings(ProcessSettings, config)
    wanted, _, problems = pairs_of(labels, ())
    if problems:
        raise ConfigurationError("the options cannot be used", problems)

    async def work() -> dict[str, Known]:
        async with Registry(settings) as registry:
            return await registry.read()

    unreadable = 0
    shown = 0
    for vehicle_id, known in asyncio.run(work()).items():
        has = {} if known.registration is None else known.registration.labels
        if any(has.get(name) != text for name, text in wanted.items()):
            continue
        if known.registration is None:
            unreadable += 1
            print(f"telltale: {vehicle_id}: its record is wrong: {known.problem}", file=sys.stderr)
            continue
        shown += 1
        print(_json(vehicle_id, known) if as_json else _line(vehicle_id, known))
    if not shown and not as_json:
        print("telltale: no vehicle there", file=sys.stderr)
    return 1 if unreadable else 0


def forget_all(vehicle_ids: Sequence[str], config: Path | None, *, as_json: bool) -> int:
    """Take vehicles out of the registry, and have every stage forget them."""
    _check_ids(vehicle_ids)
    settings = load_settings(ProcessSettings, config)

    async def work() -> None:
        async with Registry(settings) as registry:
            await registry.forget(vehicle_ids)

    asyncio.run(work())
    if as_json:
        print(json.dumps({"forgotten": list(vehicle_ids)}, ensure_ascii=False))
    else:
        for vehicle_id in vehicle_ids:
            print(f"{vehicle_id}: out of the registry; the stages forget it when they come to the record")
    return 0


def _check_ids(vehicle_ids: Sequence[str]) -> None:
    problems = []
    for vehicle_id in vehicle_ids:
        wrong = vehicle_id_problem(vehicle_id.encode(errors="surrogateescape"))
        if wrong is not None:
            problems.append(f"{vehicle_id[:80]!r}: {wrong}")
    if problems:
        raise ConfigurationError("no such vehicle can be", problems)


def _same(known: Known, said: Registration) -> bool:
    there = known.registration
    return there is not None and there.labels == said.labels and _typed(there) == _typed(said)


def _typed(said: Registration) -> dict[str, tuple[type, object]]:
    return {name: (type(value), value) for name, value in said.attributes.items()}


def _json(vehicle_id: str, known: Known) -> str:
    if known.registration is None:
        return json.dumps({"vehicleId": vehicle_id, "problem": known.problem}, ensure_ascii=False)
    return json.dumps(as_record(vehicle_id, known.registration), ensure_ascii=False)


def _line(vehicle_id: str, known: Known) -> str:
    said = known.registration or NOTHING
    words = [f"{name}={text}" for name, text in sorted(said.labels.items())]
    words += [f"{name}={_shown(value)}" for name, value in sorted(said.attributes.items())]
    return _printable(f"{vehicle_id:<20}  {'  '.join(words) or '(nothing said)'}")


def _page(vehicle_id: str, known: Known) -> Iterator[str]:
    yield _printable(vehicle_id)
    if known.registration is None:
        yield f"  its record is wrong: {_printable(known.problem or '')}"
        return
    said = known.registration
    for kind, entries in (("label", said.labels), ("attribute", said.attributes)):
        for name, value in sorted(entries.items()):
            yield _printable(f"  {kind:<9}  {name:<24}  {_shown(value)}")
    yield f"  since      {format_time(said.at)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"
