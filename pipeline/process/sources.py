"""Settings come from the environment, over one YAML file, over the defaults; all errors come at once.

For each key the source is remembered, so that `telltale settings` and every error can say where a
value came from. An empty variable counts as not set: that is how a manifest leaves one open.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from pipeline.process.failures import ConfigurationError
from pipeline.process.keys import PREFIX, Key, camel, keys_of
from pipeline.process.settings import ProcessSettings
from pipeline.process.settings_file import Entry, Scalar, Tree, read_settings_file

_JSON = re.compile(r'\s*(\[|\{\s*["}])')  # `{vehicle_id}/telemetry,…` is a list of texts

CONFIG = f"{PREFIX}CONFIG"
S = TypeVar("S", bound=ProcessSettings)


@dataclass(frozen=True, slots=True)
class Found:
    """A value as it was written, and where; `source` is `default` where it was not."""

    key: Key
    value: object
    source: str


@dataclass(frozen=True, slots=True)
class Resolved(Generic[S]):
    """What the sources gave: settings, or problems; and each key with its source."""

    settings: S | None
    found: tuple[Found, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    def settings_or_raise(self) -> S:
        """Return the settings; ConfigurationError with every problem if there are none."""
        if self.settings is None:
            count = len(self.problems)
            raise ConfigurationError(
                "1 setting is wrong:" if count == 1 else f"{count} settings are wrong:", self.problems
            )
        return self.settings


def resolve(
    model: type[S],
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    others: Callable[[], Iterable[Key]] = tuple,
) -> Resolved[S]:
    """Read the sources for `model`.

    One file serves all processes, so that `others` gives the keys of the rest; it is asked only when
    there is a key that `model` lacks, because it may have to import every process.
    """
    environment = os.environ if environment is None else environment
    if config is None and environment.get(CONFIG):
        config = Path(environment[CONFIG])
    keys = keys_of(model)
    entries, problems = read_settings_file(config) if config else ({}, [])
    found = [
        _from_environment(key, environment, problems)
        or _from_file(key, entries, config, problems)
        or Found(key, None, "default")
        for key in keys
    ]
    problems += _unknown_entries(entries, keys, others, config)
    settings = None
    try:
        settings = model(**_nested(found))
    except ValidationError as error:
        problems += [_explain(found, details) for details in error.errors(include_url=False)]
    return Resolved(
        None if problems else settings,
        tuple(found),
        tuple(problems),
        tuple(_unknown_variables(environment, keys, others)),
    )


def _from_environment(key: Key, environment: Mapping[str, str], problems: list[str]) -> Found | None:
    variable = key.variable
    text = environment.get(variable) or None
    if key.secret:
        file = environment.get(f"{variable}_FILE") or None
        if file is not None and text is not None:
            problems.append(f"{key.key}: both {variable} and {variable}_FILE are set; keep one")
        elif file is not None:
            return _from_secret_file(key, Path(file), f"{variable}_FILE", problems)
    if text is None:
        return None
    return Found(key, _parse_many(key, text, variable, problems) if key.many else text, variable)


def _from_file(
    key: Key, entries: Mapping[str, Entry], config: Path | None, problems: list[str]
) -> Found | None:
    level: Tree | None = dict(entries)
    for name in key.names[:-1]:
        if not isinstance(level, dict) or name not in level:
            return None
        level = level[name].value
    if not isinstance(level, dict):
        return None
    last = key.names[-1]
    entry = level.get(last)
    if key.secret and (file := level.get(f"{last}File")) is not None:
        if entry is not None:
            problems.append(f"{config}:{file.line}: both {key.key} and {key.key}File are set; keep one")
        elif isinstance(file.value, Scalar):
            return _from_secret_file(key, Path(file.value.text), f"{config}:{file.line}", problems)
    if entry is None or entry.value is None:
        return None
    source = f"{config}:{entry.line}"
    if key.many and isinstance(entry.value, Scalar):  # the same text means the same in both
        return Found(key, _parse_many(key, entry.value.text, source, problems), source)
    return Found(key, _plain(entry.value), source)


def _from_secret_file(key: Key, path: Path, source: str, problems: list[str]) -> Found | None:
    try:
        return Found(key, path.read_text(encoding="utf-8").rstrip("\r\n"), f"{path} ({source})")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(f"{key.key}: {path} cannot be read: {reason} (from {source})")
        return None


def _parse_many(key: Key, text: str, source: str, problems: list[str]) -> object:
    if _JSON.match(text):
        try:
            return json.loads(text)
        except ValueError as error:
            problems.append(f"{key.key}: is not JSON: {error} (from {source})")
            return None
    return [part.strip() for part in text.split(",") if part.strip()]


def _plain(tree: Tree | None) -> object:
    match tree:
        case Scalar(text):
            return text
        case dict():
            return {name: _plain(entry.value) for name, entry in tree.items()}
        case list():
            return [_plain(item) for item in tree]
        case _:
            return None


def _nested(found: Iterable[Found]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in found:
        if item.value is None:
            continue
        level = values
        for name in item.key.path[:-1]:
            level = level.setdefault(name, {})
        level[item.key.path[-1]] = item.value
    return values


def _explain(found: Iterable[Found], details: Any) -> str:
    """One line: key, what is wrong with which value, where it came from."""
    location = tuple(str(part) for part in details["loc"])
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("Value ")
    for item in found:
        if location[: len(item.key.path)] == item.key.path:
            quotes = message.startswith("'")  # it says itself which part is wrong
            shown = "" if item.key.secret or quotes else f"{item.key.show(item.value)!r} "
            return f"{item.key.key}: {shown}{message} (from {item.source})"
    group = ".".join(camel(part) for part in location)
    return f"{group}: {message}" if group else message


def _unknown_entries(
    entries: Mapping[str, Entry], keys: list[Key], others: Callable[[], Iterable[Key]], config: Path | None
) -> list[str]:
    unknown = list(_beyond(entries, keys, ()))
    if not unknown:
        return []
    every = [*keys, *others()]
    return [f"{config}:{line}: {_stranger(names, every)}" for names, line in _beyond(entries, every, ())]


def _stranger(names: tuple[str, ...], every: list[Key]) -> str:
    """What is wrong with a key that is no setting."""
    name = ".".join(names)
    inside = next((key.key for key in every if key.names[: len(names)] == names), None)
    if inside is not None:
        return f"{name} holds keys of its own, such as {inside}"
    return f"there is no setting {name}{_advice(name, every)}"


def _beyond(
    entries: Mapping[str, Entry], keys: Iterable[Key], above: tuple[str, ...]
) -> Iterable[tuple[tuple[str, ...], int]]:
    """Entries that belong to none of `keys`, with their lines."""
    keys = list(keys)
    leaves = {key.names for key in keys} | {
        (*key.names[:-1], f"{key.names[-1]}File") for key in keys if key.secret
    }
    groups = {key.names[:end] for key in keys for end in range(1, len(key.names))}
    for name, entry in entries.items():
        names = (*above, name)
        if names in leaves:
            continue
        if names not in groups or isinstance(entry.value, Scalar | list):
            yield names, entry.line
        elif isinstance(entry.value, dict):
            yield from _beyond(entry.value, keys, names)


def _unknown_variables(
    environment: Mapping[str, str], keys: list[Key], others: Callable[[], Iterable[Key]]
) -> Iterable[str]:
    """Variables that look like a slip of the pen; Kubernetes itself adds many that only share the prefix."""
    known = {key.variable for key in keys} | {f"{key.variable}_FILE" for key in keys if key.secret} | {CONFIG}
    doubtful = {}
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known:
            closest = difflib.get_close_matches(variable, known, n=1, cutoff=0.88)
            if closest:
                doubtful[variable] = closest[0]
    if not doubtful:
        return
    rest = {key.variable for key in others()} | {f"{key.variable}_FILE" for key in others()}
    for variable, near in doubtful.items():
        if variable not in rest:
            yield f"{variable} is no setting of this process and is ignored; did you mean {near}?"


def _advice(name: str, keys: Iterable[Key]) -> str:
    names = sorted({key.key for key in keys})
    written = ".".join(camel(part) for part in name.split("."))
    near = [written] if written in names else difflib.get_close_matches(written, names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else "; `telltale settings` lists them all"
