"""`telltale run alerts` that also says how long its event loop was held, and when its batches were.

    python -m tests.benchmarks.observed_worker FILE

The process is the real one: nothing but a task that wakes every other millisecond is added, and a note
around each batch. At its end FILE has JSON. `wakes`: monotonic seconds, milliseconds that the wake came too
late, and milliseconds of processor that the process has used since the one before: what it would have been
late on a machine with nothing else to do. `batches`: monotonic seconds of the beginning and of the end,
milliseconds of processor.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.process import Context, Process
from pipeline.process.running import run
from pipeline.stages import alerts
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.settings import RuleStageSettings

WAKE_S = 0.002


Observed = list[tuple[float, float, float]]


async def wake(wakes: Observed) -> None:
    """Note how late each wake is, for ever."""
    used = time.process_time()
    while True:
        asleep = time.monotonic()
        await asyncio.sleep(WAKE_S)
        now, before, used = time.monotonic(), used, time.process_time()
        wakes.append((now, (now - asleep - WAKE_S) * 1e3, (used - before) * 1e3))


def main() -> int:
    """Run until asked to end; the exit code of the process."""
    wakes: Observed = []
    batches: Observed = []
    process_batch = VehicleLogic.process

    def noted(self: Any, topic: str, records: Sequence[Any], out: list[Any]) -> None:
        begin, used = time.monotonic(), time.thread_time()
        process_batch(self, topic, records, out)
        batches.append((begin, time.monotonic(), (time.thread_time() - used) * 1e3))

    async def observed(context: Context[RuleStageSettings]) -> None:
        waking = asyncio.create_task(wake(wakes))
        try:
            await alerts.main(context)
        finally:
            waking.cancel()

    VehicleLogic.process = noted  # type: ignore[method-assign]
    code = run(Process("alerts", RuleStageSettings, observed, "observed"))
    Path(sys.argv[1]).write_text(json.dumps({"wakes": wakes, "batches": batches}))
    return code


if __name__ == "__main__":
    sys.exit(main())
