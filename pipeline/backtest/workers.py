"""A backtest on all cores: workers share vehicles or partitions out among themselves, by number.

Nothing passes between processes but how far they are, the instant at which the trace ends, and what came of
it. The result does not hang on the number of workers.
"""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.backtest.asked import Asked
from pipeline.backtest.replay import Folded
from pipeline.process.children import end_with_parent
from pipeline.process.failures import TelltaleError

Progress = Callable[[float, int], None]
"""Share of the trace that was read (0 to 1), messages folded so far."""
Meet = Callable[[int | None], int | None]
"""Tells the others the last instant of one's own messages, and returns that of all."""


@dataclass(slots=True)
class Share:
    """What one worker made of its part, for each rule set."""

    folded: list[Folded]
    dropped: Counter[str]
    """Values and messages that were not used, by reason."""


Fold = Callable[[Asked, int, Progress, Meet], Share]

_NOTHING = -(2**63)


def share_out(fold: Fold, asked: Asked, progress: Progress) -> list[Share]:
    """What each worker made of its part. Raises what the first to fail raised."""
    if asked.workers == 1:
        return [fold(asked, 0, progress, lambda last: last)]
    context = multiprocessing.get_context("spawn")
    inbox: Any = context.Queue()
    lasts = context.Array("q", [_NOTHING] * asked.workers)
    barrier = context.Barrier(asked.workers)
    workers = [
        context.Process(target=_work, args=(fold, asked, number, inbox, lasts, barrier), daemon=True)
        for number in range(asked.workers)
    ]
    for worker in workers:
        worker.start()
    try:
        return _listen(asked.workers, workers, inbox, progress)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()


def _listen(number_of: int, workers: list[Any], inbox: Any, progress: Progress) -> list[Share]:
    shares: dict[int, Share] = {}
    read: dict[int, tuple[float, int]] = {}
    while len(shares) < number_of:
        try:
            number, said = inbox.get(timeout=1)
        except queue.Empty:
            if any(worker.exitcode not in (None, 0) for worker in workers):
                raise TelltaleError("a worker of the backtest died; was memory short?") from None
            continue
        match said:
            case Exception():
                raise said
            case Share():
                shares[number] = said
            case share, messages:
                read[number] = share, messages
                slowest = min(it[0] for it in read.values()) if len(read) == number_of else 0.0
                progress(slowest, sum(it[1] for it in read.values()))
    return [shares[number] for number in range(number_of)]


def _work(fold: Fold, asked: Asked, number: int, inbox: Any, lasts: Any, barrier: Any) -> None:
    """The main function of a worker."""

    def meet(last: int | None) -> int | None:
        lasts[number] = _NOTHING if last is None else last
        barrier.wait()
        end = max(lasts)
        return None if end == _NOTHING else end

    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear
    try:
        inbox.put((number, fold(asked, number, lambda *said: inbox.put((number, said)), meet)))
    except TelltaleError as error:
        inbox.put((number, error))
