"""The counting stage as a process: `python -m tests.runtime.process`, settings from the environment."""

import sys

from pipeline.process.context import Context, Process
from pipeline.process.running import run
from pipeline.runtime import StageSettings, run_stage
from tests.runtime.counting import CatchingUp, stage


async def main(context: Context[StageSettings]) -> None:
    """Count until told to stop."""
    await run_stage(context, stage(CatchingUp))


if __name__ == "__main__":
    sys.exit(run(Process("counting", StageSettings, main, "counts keys, for tests")))
