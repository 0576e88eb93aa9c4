"""The topics that the publish actions of a rule set name: they are made before its rules run."""

from collections.abc import Iterable

from aiokafka.errors import KafkaError

from pipeline.process.failures import TelltaleError
from pipeline.process.names import topic_name
from pipeline.process.settings import ProcessSettings
from pipeline.process.topics import TOPICS, published
from pipeline.topics import Admin, wanted
from rules import Loaded


def topics_of(loaded: Loaded) -> set[str]:
    """Logical names, as the rules have them."""
    actions = [action for placed in loaded.alert_rules for action in placed.document.spec.actions]
    actions += [action for placed in loaded.sequence_rules for action in placed.document.spec.every_action]
    alarms = [placed.document.spec.alert for placed in loaded.aggregation_rules]
    actions += [action for alert in alarms if alert is not None for action in alert.actions]
    found = [action.publish for action in actions]
    found += [it.publish for placed in loaded.geofence_rules for it in placed.document.spec.actions]
    return {publish.topic for publish in found if publish is not None}


async def create_missing(settings: ProcessSettings, topics: Iterable[str]) -> list[str]:
    """Make those that are not there; the names in Kafka of those that were made."""
    names = {topic_name(settings.prefix, topic): topic for topic in topics if topic not in TOPICS}
    if not names:
        return []
    async with Admin(settings) as admin:
        try:
            there = await admin.observe(names)
            missing = [
                wanted(settings, published(topic)) for name, topic in names.items() if name not in there
            ]
            return await admin.create(missing) if missing else []
        except (KafkaError, OSError, TimeoutError) as error:
            raise TelltaleError(f"Kafka refused or went away: {type(error).__name__}: {error}") from error
