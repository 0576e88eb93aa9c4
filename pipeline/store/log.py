"""telltale.rules in Kafka: read to its end, followed, and changed in one transaction.

Of two who change it at once one is told of the other. All writers share one transactional id: beginning
fences whoever began before, and only after that the log is read to its end. So what is then at its head stays
there until the commit, or the commit fails.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced

from pipeline.process.failures import TelltaleError, TopicsDiffer
from pipeline.process.kafka import client_options, stop_client
from pipeline.process.names import topic_name, transactional_id
from pipeline.process.settings import ProcessSettings
from pipeline.store.changes import Change
from pipeline.store.revisions import Revisions
from pipeline.topics import Admin, LastWords, not_reached

RULES = "telltale.rules"
_TRANSACTION_MS = 10_000
_READ_TOGETHER = 200
_MOST_BYTES = 16 << 20
_BATCH_BYTES = 256 << 10


class Conflict(TelltaleError):
    """The rules have changed since the revision that a change was made for. Nothing was written."""

    exit_code = 1


class RulesLog:
    """The log of one installation, for the time of an `async with`. TopicsDiffer where there is none."""

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._topic = topic_name(settings.prefix, RULES)
        self._partition = TopicPartition(self._topic, 0)
        self._consumer: Any = None
        self.revisions = Revisions()
        """What the log said when it was last read."""

    async def __aenter__(self) -> RulesLog:
        async with Admin(self._settings) as admin:
            if self._topic not in await admin.observe([self._topic]):
                raise TopicsDiffer(
                    f"there is no topic {self._topic} at {self._settings.kafka.bootstrap}; `telltale topics"
                    " create` makes it, unless the installation has another prefix (TELLTALE_PREFIX)"
                )
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings, "rules"),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_MOST_BYTES,
        )
        with LastWords() as words:
            try:
                await self._consumer.start()
            except (KafkaError, OSError) as error:
                raise not_reached(self._settings, words[-1:] or [str(error)]) from error
        self._consumer.assign([self._partition])
        await self._consumer.seek_to_beginning(self._partition)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            await stop_client(self._consumer)

    async def read(self) -> Revisions:
        """The log up to where it ends now. Raises StoreDamaged."""
        end = (await self._consumer.end_offsets([self._partition]))[self._partition]
        while await self._consumer.position(self._partition) < end:
            await self._take(500)
        return self.revisions

    async def poll(self, timeout_ms: int) -> Revisions:
        """What the log says, after waiting so long for more of it. Raises StoreDamaged."""
        await self._take(timeout_ms)
        return self.revisions

    async def write(self, change: Change) -> None:
        """Make the change the head. Raises Conflict if another one came in between."""
        producer = AIOKafkaProducer(
            **client_options(self._settings, "rules-writer"),
            transactional_id=transactional_id(self._settings.prefix, "rules", 0),
            transaction_timeout_ms=_TRANSACTION_MS,
            acks="all",
            # Thousands of rules: many documents in a request, and a manifest below the topic's limit.
            compression_type="gzip",
            max_batch_size=_BATCH_BYTES,
            max_request_size=_MOST_BYTES,
        )
        await producer.start()  # fences an earlier writer
        try:
            await self._check(change)
            async with producer.transaction():
                # One after the other 10,000 documents would take longer than a transaction may.
                sent = [
                    await producer.send(self._topic, value, key, partition=0)
                    for key, value in change.records(self.revisions)
                ]
                await asyncio.gather(*sent)
        except MessageSizeTooLargeError:
            raise TelltaleError(
                f"the rules are too many for a record of {self._topic}: raise its max.message.bytes;"
                " nothing was written"
            ) from None
        except ProducerFenced:
            raise Conflict("somebody else is changing the rules; look at `telltale rules history`") from None
        finally:
            await stop_client(producer)

    async def _check(self, change: Change) -> None:
        revisions = await self.read()
        parent = change.manifest.parent
        if revisions.head != parent:
            newest = revisions.manifests.get(revisions.head)
            who = "" if newest is None else f" by {newest.author} ({newest.message or 'no message'})"
            raise Conflict(
                f"the rules are at revision {revisions.head}{who}, this change was made for {parent}: look at"
                f" `telltale rules get --diff {parent}`, then apply again"
            )

    async def _take(self, timeout_ms: int) -> None:
        """What is there, or comes within that time: some at once, so that nothing beside it waits long."""
        batches = await self._consumer.getmany(
            self._partition, timeout_ms=timeout_ms, max_records=_READ_TOGETHER
        )
        while batches:
            for records in batches.values():
                for record in records:
                    self.revisions.take(record.key, record.value)
            await asyncio.sleep(0)
            batches = await self._consumer.getmany(self._partition, max_records=_READ_TOGETHER)
        await asyncio.sleep(0)
