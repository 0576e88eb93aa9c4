"""Several partitions of a stage that writes to one of its own inputs, without Kafka: logs, workers, deaths.

Which partition reads which of its inputs, how much of it, and who dies when, is decided by chance.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pipeline.runtime.stage import Logic, Output
from tests.stages.partition import Record


@dataclass
class _Worker:
    logic: Logic
    positions: dict[str, int]
    state: dict[bytes, bytes] = field(default_factory=dict)
    clock: bytes | None = None
    committed: dict[str, int] = field(default_factory=dict)
    pending: list[Output] = field(default_factory=list)


class Cluster:
    """`logs` holds the records of each partition, by topic; the looped topic begins empty."""

    def __init__(
        self,
        new_logic: Callable[[int], Logic],
        logs: list[dict[str, list[Record]]],
        loop: str,
        choice: random.Random,
    ) -> None:
        self._new_logic = new_logic
        self._logs = [{**topics, loop: []} for topics in logs]
        self._loop = loop
        self._choice = choice
        self.sent: list[list[tuple[int, bytes | None, bytes | None]]] = [[] for _ in logs]
        """What each partition wrote to the looped topic."""
        self.outputs: list[Output] = []
        self._workers = [self._start(partition) for partition in range(len(logs))]

    def _start(self, partition: int, before: _Worker | None = None) -> _Worker:
        logic = self._new_logic(partition)
        positions = dict.fromkeys(self._logs[partition], 0)
        state: dict[bytes, bytes] = {}
        clock = None
        if before is not None:
            positions, state, clock = dict(before.committed), before.state, before.clock
        items = list(state.items())
        self._choice.shuffle(items)  # a changelog is read in the order of its last writes
        for key, value in items:
            logic.restore(key, value)
        logic.restored(clock)
        return _Worker(logic, positions, state, clock, dict(positions))

    def run(self, *, deaths: float = 0.0) -> "Cluster":
        """Until everything has been read and committed."""
        choice = self._choice
        while True:
            open_inputs = [
                (partition, topic)
                for partition, worker in enumerate(self._workers)
                for topic, log in self._logs[partition].items()
                if worker.positions[topic] < len(log)
            ]
            if not open_inputs:
                for partition in range(len(self._workers)):
                    self._commit(partition)
                if all(
                    worker.positions[topic] == len(log)
                    for worker, topics in zip(self._workers, self._logs, strict=True)
                    for topic, log in topics.items()
                ):
                    return self
                continue
            partition, topic = choice.choice(open_inputs)
            worker = self._workers[partition]
            position = worker.positions[topic]
            batch = self._logs[partition][topic][position : position + choice.choice((1, 2, 5, 20))]
            worker.logic.process(topic, batch, worker.pending)
            worker.positions[topic] += len(batch)
            chance = choice.random()
            if chance < deaths:
                self._workers[partition] = self._start(partition, worker)
            elif chance < 0.6:
                self._commit(partition)

    def _commit(self, partition: int) -> None:
        worker = self._workers[partition]
        for key, value in worker.logic.changes():
            if value is None:
                worker.state.pop(key, None)
            else:
                worker.state[key] = value
        worker.clock = worker.logic.clock()
        worker.committed = dict(worker.positions)
        for output in worker.pending:
            if output.topic == self._loop:
                assert output.partition is not None
                log = self._logs[output.partition][self._loop]
                log.append(Record(self._loop, len(log), output.timestamp or 0, output.key, output.value))
                self.sent[partition].append((output.partition, output.key, output.value))
            else:
                self.outputs.append(output)
        worker.pending.clear()

    def state(self) -> Iterable[dict[bytes, bytes]]:
        """What each partition keeps."""
        return [worker.state for worker in self._workers]
