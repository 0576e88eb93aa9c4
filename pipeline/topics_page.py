"""`telltale topics create|check|delete`: what is printed, and the exit code.

stdout has a line for each topic (or JSON); what does not fit is told on stderr, with exit code 4.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from aiokafka.errors import KafkaError
from pydantic import Field

from pipeline.process.failures import ConfigurationError, TelltaleError, TopicsDiffer
from pipeline.process.settings import ProcessSettings, load_settings
from pipeline.stages.documents import load_documents
from pipeline.store.publishing import topics_of
from pipeline.topics import Admin, Difference, LastWords, Wanted, compare, wanted_topics


class TopicsSettings(ProcessSettings):
    """What these commands read: the rules of the stages too, whose actions name topics."""

    rules: tuple[Path, ...] = Field(
        default=(), description="files and directories of rule documents; default: the library that ships"
    )


def create_missing(
    config: Path | None, *, replication: int | None, rules: Sequence[Path], as_json: bool
) -> None:
    """Create what is missing; TopicsDiffer if something that exists does not fit."""
    settings, wanted = _wanted(config, replication, rules)
    created, differences = asyncio.run(_work(settings, wanted, create=True))
    _tell(settings, wanted, differences, created=created, as_json=as_json)


def check_all(config: Path | None, *, replication: int | None, rules: Sequence[Path], as_json: bool) -> None:
    """Compare; TopicsDiffer if something is missing or does not fit."""
    settings, wanted = _wanted(config, replication, rules)
    _, differences = asyncio.run(_work(settings, wanted, create=False))
    _tell(settings, wanted, differences, created=[], as_json=as_json)


def delete_all(config: Path | None, *, yes: bool, as_json: bool) -> None:
    """Delete the installation's topics; ConfigurationError, and nothing is done, without `yes`.

    Topics that rules publish to stay: others read and write them too.
    """
    settings = load_settings(TopicsSettings, config)
    names = [want.name for want in wanted_topics(settings)]
    if not yes:
        raise ConfigurationError(
            f"this deletes {len(names)} topics at {settings.kafka.bootstrap}, {names[0]} and so on, with all"
            " that is in them, for good; --yes does it"
        )
    there = asyncio.run(_delete(settings, names))
    rows = [(name, "deleted" if name in there else "was not there") for name in names]
    if as_json:
        print(json.dumps([{"topic": name, "status": status} for name, status in rows], indent=2))
    else:
        width = max(map(len, names))
        for name, status in rows:
            print(f"{name:<{width}}  {status}")


async def _delete(settings: ProcessSettings, names: Sequence[str]) -> set[str]:
    async with Admin(settings) as admin:
        with LastWords():
            try:
                there = set(await admin.observe(names))
                if there:
                    await admin.delete(sorted(there))
            except (KafkaError, OSError, TimeoutError) as error:
                raise TelltaleError(f"Kafka refused or went away: {type(error).__name__}: {error}") from error
    return there


def _wanted(
    config: Path | None, replication: int | None, rules: Sequence[Path]
) -> tuple[ProcessSettings, list[Wanted]]:
    settings = load_settings(TopicsSettings, config)
    publish = published_topics(rules or settings.rules)
    return settings, wanted_topics(settings, replication=replication, publish=publish)


async def _work(
    settings: ProcessSettings, wanted: list[Wanted], *, create: bool
) -> tuple[list[str], list[Difference]]:
    created: list[str] = []
    names = [want.name for want in wanted]
    async with Admin(settings) as admin:
        with LastWords():
            try:
                if create:
                    there = await admin.observe(names)
                    missing = [want for want in wanted if want.name not in there]
                    created = await admin.create(missing) if missing else []
                observed = await admin.observe(names)
            except (KafkaError, OSError, TimeoutError) as error:
                raise TelltaleError(f"Kafka refused or went away: {type(error).__name__}: {error}") from error
    return created, compare(wanted, observed, settings.kafka.bootstrap)


def published_topics(paths: Sequence[Path]) -> set[str]:
    """The topics that the rules below `paths` publish to; without paths, those of the library that ships."""
    return topics_of(load_documents(paths))


def _tell(
    settings: ProcessSettings,
    wanted: Sequence[Wanted],
    differences: Sequence[Difference],
    *,
    created: Sequence[str],
    as_json: bool,
) -> None:
    by_topic: dict[str, list[Difference]] = {}
    for difference in differences:
        by_topic.setdefault(difference.topic, []).append(difference)
    rows = [(want, _status(want.name, by_topic, created)) for want in wanted]
    if as_json:
        print(
            json.dumps(
                [_as_record(want, status, by_topic.get(want.name, [])) for want, status in rows], indent=2
            )
        )
    else:
        width = max(len(want.name) for want in wanted)
        for want, status in rows:
            clean_up = want.config["cleanup.policy"]
            partitions = "1 partition " if want.partitions == 1 else f"{want.partitions} partitions"
            print(f"{want.name:<{width}}  {partitions:>16}  {clean_up:<7}  {status}")
    if differences:
        count = "1 difference" if len(differences) == 1 else f"{len(differences)} differences"
        summary = f"the topics at {settings.kafka.bootstrap} do not fit, {count}:"
        raise TopicsDiffer(summary, list(_grouped(differences)))


def _grouped(differences: Sequence[Difference]) -> Iterator[str]:
    """Equal differences of many topics as one, with the remedy for the first; the table names them all."""
    alike: dict[str, list[Difference]] = {}
    for difference in differences:
        alike.setdefault(difference.text, []).append(difference)
    for text, group in alike.items():
        first, others = group[0], len(group) - 1
        more = f" and {others} more" if others else ""
        yield f"{first.topic}{more}: {text}"
        yield f"    {first.remedy}"


def _status(name: str, by_topic: dict[str, list[Difference]], created: Sequence[str]) -> str:
    if name in by_topic:
        return "; ".join(difference.text for difference in by_topic[name])
    return "created" if name in created else "ok"


def _as_record(want: Wanted, status: str, differences: Sequence[Difference]) -> dict[str, object]:
    return {
        "topic": want.name,
        "partitions": want.partitions,
        "config": dict(want.config),
        "status": "differs" if differences else status,
        "differences": [
            {"what": it.what, "wanted": it.wanted, "found": it.found, "remedy": it.remedy}
            for it in differences
        ],
    }
