"""Topics that rules publish to are made before the rules run; a rule whose topic cannot be is left out."""

from __future__ import annotations

from dataclasses import replace

from k8s.resources.documents import Place
from k8s.resources.judging import Findings
from pipeline.process.failures import TelltaleError
from pipeline.process.settings import ProcessSettings
from pipeline.store.publishing import create_missing, topics_of
from rules import Loaded

_MOST_TRIED = 200
"""Topics that are tried one by one."""


async def topicless(settings: ProcessSettings, loaded: Loaded) -> Findings:
    """Make the topics that are missing; the rules that publish to one which Kafka does not make, and why."""
    topics = topics_of(loaded)
    try:
        await create_missing(settings, topics)
    except TelltaleError:
        refused = {}
        for topic in sorted(topics)[:_MOST_TRIED]:
            try:
                await create_missing(settings, [topic])
            except TelltaleError as error:
                refused[topic] = str(error)
        return _publishing(loaded, refused)
    return {}


def _publishing(loaded: Loaded, refused: dict[str, str]) -> Findings:
    found: Findings = {}
    for placed in loaded.running:
        for topic in sorted(topics_of(replace(loaded, running=(placed,))) & refused.keys()):
            place = Place.of(placed.file)
            why = f"the topic {topic} cannot be made: {refused[topic]}"
            found[place] = (placed.diagnostic("TT027", ("spec", "actions"), why),)
    return found
