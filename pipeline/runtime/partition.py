"""One partition's processor: its own task, a bounded inbox, one session at a time.

The task takes over, serves, and on release commits and parks. Any failure ends the session: memory and
producer are thrown away and the task takes over again at the marker, never on to the next batch. So one
record that makes the logic raise is met again; the third time the records are applied one by one, which
tells the record at fault, and the time after that this record becomes a dead letter. (Halving the batch
would find it too, at the cost of a restore for each half.)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import structlog

from pipeline.runtime.batches import Batch, Verdict, judge
from pipeline.runtime.checkpoint import commit_session
from pipeline.runtime.failures import (
    LogicFailed,
    NotOurs,
    RulesChanged,
    RuntimeFailure,
    StateUnusable,
    TooLarge,
)
from pipeline.runtime.pacing import Commit, due_at
from pipeline.runtime.session import Parked, Session
from pipeline.runtime.shared import Shared
from pipeline.runtime.suspicion import Suspicion
from pipeline.runtime.takeover import beyond_end, skip_lost, stand, take_over

log = structlog.get_logger(__name__)

_INBOX_FULL = 8_000
_INBOX_LOW = 2_000
"""Records in the inbox at which the partition is fetched no more, and again."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_SLICE_S = 0.02
_AWAITED_FOR_S = 30.0
"""An input that comes first may end in a transaction that nobody ends: others do not wait for it longer."""


class Partition:
    """The processor of one partition, in and out of assignment."""

    def __init__(self, number: int, shared: Shared) -> None:
        self.number = number
        self._shared = shared
        self._task: asyncio.Task[None] | None = None
        self._generation = -1
        self._session: Session | None = None
        self._parked: Parked | None = None
        self._inbox: deque[Batch] = deque()
        self._beyond: dict[str, int] = {}
        self._waiting = 0
        self._closed: set[str] = set()
        self._awaits_until: float | None = None
        """Until when at most inputs are closed because others come first; None if none are."""
        self._news = asyncio.Event()
        self._releasing = False
        self._suspicion = Suspicion()
        self._last_commit = Commit()
        self._slice = 64
        self._delivered = 0
        self._seen: tuple[int, dict[str, int]] | None = None
        self.without_session_since: float | None = None
        self.trouble: str | None = None
        """Why there is no session, for readiness."""

    # -- assignment --------------------------------------------------------------------------------------

    @property
    def assigned(self) -> bool:
        """Whether this worker has the partition now."""
        return self._task is not None

    @property
    def working(self) -> bool:
        """Whether its state is restored and its records are processed."""
        return self._session is not None

    def assign(self, generation: int) -> None:
        """Take the partition over: this worker has it from this generation on."""
        assert self._task is None
        self._generation = generation
        self._releasing = False
        self.trouble = "its state is being restored"
        self.without_session_since = self._shared.clock()
        self._task = asyncio.create_task(self._run(generation), name=f"partition-{self.number}")

    async def release(self, deadline_s: float) -> None:
        """Commit, park, give up. What cannot be committed within the deadline is thrown away."""
        task, self._releasing = self._task, True
        if task is None:
            return
        self._news.set()
        if self._session is None:
            task.cancel()
        done, _ = await asyncio.wait([task], timeout=deadline_s)
        if not done:
            log.warning("A partition was not committed in time, it is given up", partition=self.number)
            task.cancel()
            await asyncio.wait([task], timeout=1.0)
        self._task = None
        self.without_session_since = None

    # -- records in --------------------------------------------------------------------------------------

    def deliver(self, batch: Batch) -> None:
        """A batch came. It is dropped if nobody waits for it: the chain rule brings it back."""
        if self._session is None or batch.generation != self._generation:
            return
        self._delivered += 1
        self._inbox.append(batch)
        self._waiting += len(batch.records)
        self._beyond[batch.topic] = max(0, batch.last - batch.end)
        if self._waiting >= _INBOX_FULL and batch.topic not in self._closed:
            self._closed.add(batch.topic)
            self._shared.group.close_partition(batch.topic, self.number)
        self._news.set()

    def _next_batch(self) -> Batch:
        batch = self._inbox.popleft()
        self._waiting -= len(batch.records)
        if self._waiting <= _INBOX_LOW and self._closed:
            self._open()
        return batch

    def _open(self) -> None:
        self._closed.clear()
        for name, topic in self._shared.inputs.items():
            if self._awaits_until is None or name in self._shared.stage.first:
                self._shared.group.open_partition(topic, self.number)

    def _open_others(self, session: Session, now: float) -> None:
        """What comes first has been read, or does not come: the other inputs begin."""
        is_late = self._awaits_until is not None and now >= self._awaits_until
        if is_late:
            log.warning(
                "An input that comes first is not read to its end; the others begin", partition=self.number
            )
        if is_late or all(session.positions[name] >= end for name, end in session.awaited.items()):
            self._awaits_until = None
            self._open()

    def _is_behind(self, in_hand: int = 0) -> bool:
        """Whether more records wait than come in between two commits: in hand, delivered, or in the log."""
        waiting = in_hand + self._waiting + sum(self._beyond.values())
        return waiting > self._shared.pace.few_records

    def _empty_inbox(self) -> None:
        self._inbox.clear()
        self._waiting = 0
        self._beyond.clear()
        self._closed.clear()
        for topic in self._shared.inputs.values():
            self._shared.group.close_partition(topic, self.number)

    # -- the task ----------------------------------------------------------------------------------------

    async def _run(self, generation: int) -> None:
        pause = _FIRST_PAUSE_S
        while not self._releasing:
            session: Session | None = None
            commits_before, began = self._last_commit, self._shared.clock()
            parked, self._parked = self._parked, None
            try:
                session = await take_over(self._shared, self.number, generation, parked)
                self._begin(session, began)
                await self._serve(session)
                await self._park(session)
                continue
            except StateUnusable as error:
                self.trouble = str(error)
                self._shared.fatal(error)
                return
            except LogicFailed as error:
                if session is not None:
                    self._suspicion.failed(session.positions, at_once=isinstance(error, TooLarge))
                self._failed(error)
            except RulesChanged as error:
                self.trouble = str(error)
                log.info("A partition begins anew with other rules", partition=self.number, reason=str(error))
            except RuntimeFailure as error:
                self._failed(error)
            except Exception as error:
                log.exception("A partition failed unexpectedly", partition=self.number)
                self._failed(error)
            finally:
                self._end(session)
                if session is None and parked is not None and not parked.taken:
                    self._parked = parked
            if self._last_commit is not commits_before:
                pause = _FIRST_PAUSE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    while not self._releasing:
                        self._news.clear()
                        await self._news.wait()
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _begin(self, session: Session, began: float) -> None:
        self._shared.metrics.restore.observe(self._shared.clock() - began)
        self._session = session
        self._shared.turns.join(self.number)
        self._seen = None
        self.without_session_since = None
        self.trouble = None
        self._awaits_until = self._shared.clock() + _AWAITED_FOR_S if session.awaited else None
        self._open()

    def _end(self, session: Session | None) -> None:
        """Whatever the reason: nothing of the session is used again, unless it was parked."""
        self._session = None
        self._shared.turns.leave(self.number)
        if session is not None and (left := getattr(session.logic, "left", None)) is not None:
            left()
        self._empty_inbox()
        if self.without_session_since is None:
            self.without_session_since = self._shared.clock()
        if session is not None and self._parked is None:
            session.producer.abandon()

    def _failed(self, error: Exception) -> None:
        kind = type(error).__name__
        self.trouble = str(error)
        self._shared.metrics.failures.labels(kind).inc()
        level = log.info if isinstance(error, NotOurs) else log.warning
        level("A partition starts again at its marker", partition=self.number, kind=kind, reason=str(error))

    async def _park(self, session: Session) -> None:
        marker = session.marker()
        if session.changelog_position is None or session.pending.change_since is not None:
            return
        self._parked = Parked(session.logic, marker, session.changelog_position, self._shared.clock())
        await session.producer.close()

    # -- serving -----------------------------------------------------------------------------------------

    async def _serve(self, session: Session) -> None:
        """Until release, or until the producer is worn; everything is committed then."""
        while True:
            now = self._shared.clock()
            if self._awaits_until is not None:
                self._open_others(session, now)
            due = due_at(self._shared.pace, session.pending, self._last_commit, self._is_behind())
            if self._releasing or session.producer.worn:
                if due is not None:
                    await self._checkpoint(session)
                return
            is_due = due is not None and due <= now
            if is_due and self._may_commit(session):
                await self._checkpoint(session)
            elif self._inbox:
                await self._take(session, self._next_batch())
            else:
                if is_due:
                    due = None  # it is told when the turn is its own
                self._news.clear()
                wake = min((at for at in (due, self._awaits_until) if at is not None), default=None)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if wake is None else wake - now):
                        await self._news.wait()

    async def _take(self, session: Session, batch: Batch) -> None:
        name = self._shared.logical[batch.topic]
        match judge(session.positions[name], session.seeks[name], batch):
            case Verdict.ACCEPT:
                await self._apply(session, name, batch)
                await asyncio.sleep(0)
            case Verdict.GAP:
                await self._go_back(session, name)
            case Verdict.STALE:
                pass

    async def _go_back(self, session: Session, name: str) -> None:
        """The consumer is elsewhere: Faust skipped, or the log begins behind where the processor stands."""
        topic = self._shared.inputs[name]
        first, end = (await self._shared.log.span([topic], self.number))[topic]
        if session.positions[name] > end:
            raise beyond_end(f"{topic}[{self.number}]", session.positions[name], end)
        position = skip_lost(self._shared, self.number, name, session.positions[name], first)
        await stand(session, name, position)

    async def _apply(self, session: Session, name: str, batch: Batch) -> None:
        records, done = batch.records, 0
        clock, pace = self._shared.clock, self._shared.pace
        session.batches += 1
        while True:
            if done < len(records):
                careful = self._suspicion.careful
                part = records[done : done + (1 if careful else self._slice)]
                before, began = len(session.out), clock()
                try:
                    session.process(name, part, self._suspicion.poison)
                    if careful:
                        await session.probe(before)
                except LogicFailed as error:
                    session.positions[name] = part[-1].offset + 1
                    if careful:
                        self._suspicion.blame(name, part[0].offset, error.code, str(error))
                    raise
                took = clock() - began
                session.runs_s.append(took)
                done += len(part)
                if not careful:
                    self._fit_slice(took, len(part))
                session.positions[name] = part[-1].offset + 1
                session.processed[name] += len(part)
                session.pending.note(began, len(part), len(session.out) > 0)
            else:
                session.pending.note(clock(), 0, False)
            if done >= len(records):
                session.positions[name] = batch.end
                return
            await asyncio.sleep(0)
            if self._releasing:
                return
            behind = self._is_behind(len(records) - done)
            due = due_at(pace, session.pending, self._last_commit, behind)
            if due is not None and due <= clock() and self._may_commit(session):
                await self._checkpoint(session)

    def _fit_slice(self, took: float, records: int) -> None:
        """So many records at a time that others get the loop every few milliseconds."""
        if took > _SLICE_S:
            self._slice = max(1, self._slice // 2)
        elif took < _SLICE_S / 4 and records >= self._slice:
            self._slice = min(4_096, self._slice * 2)

    def _may_commit(self, session: Session) -> bool:
        """Whether it is this partition's turn, or too much waits to be committed."""
        if session.pending.records >= self._shared.pace.most_records:
            return True
        return self._shared.turns.is_free(self.number, self._news.set)

    async def _checkpoint(self, session: Session) -> None:
        """Commit what is owed, as one transaction."""
        with self._shared.turns.taken(self.number):
            delay = self._shared.budget.delay(self._shared.clock())
            if delay > 0 and not self._releasing:
                await asyncio.sleep(delay)
            began = self._shared.clock()
            await commit_session(session)
            ended = self._shared.clock()
        self._last_commit = Commit(ended, ended - began)
        self._suspicion.passed(session.positions)

    # -- the watch ---------------------------------------------------------------------------------------

    async def check(self) -> int:
        """Once a second: notice what was dropped at the log's end, and tell the lag in records."""
        session = self._session
        if session is None:
            return 0
        lag = 0
        stands: dict[str, int] = {}
        for name, topic in self._shared.inputs.items():
            found = await self._shared.group.where(topic, self.number)
            if found is None or session is not self._session:
                return 0
            position, seek, end = found
            lag += max(0, end - session.positions[name])
            if seek == session.seeks[name] and position != session.positions[name]:
                stands[name] = position
        now = (self._delivered, stands)
        if stands and not self._inbox and now == self._seen and not self._releasing:
            for name in stands:
                # Nothing was delivered for a whole second, yet the consumer is elsewhere.
                topic, seek = self._shared.inputs[name], session.seeks[name]
                self._inbox.append(Batch(topic, self.number, -1, -1, seek, self._generation, 0, ()))
            self._news.set()
        self._seen = now
        return lag
