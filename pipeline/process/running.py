"""A process starts, works, drains and ends with one of five exit codes: the same for all of them.

    0  drained             1  unexpected, or not drained in time     2  settings or rules wrong
    3  a needed party did not come within the start time-out         4  topics do not fit

The first SIGTERM (or Ctrl-C) asks, and leaves `drainTimeout` for the answer; the second ends at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from pipeline.process.collector import keep_collections_short
from pipeline.process.context import Context, Process
from pipeline.process.durations import format_duration
from pipeline.process.failures import ConfigurationError, Stopped, TelltaleError
from pipeline.process.logs import configure_logs
from pipeline.process.server import serving
from pipeline.process.sources import resolve
from pipeline.process.version import program_version

_AFTER_CANCEL_S = 2.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(
    process: Process[Any], config: Path | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Run the process until it ends or is asked to; the exit code."""
    from pipeline.process.registry import keys_of_all

    resolved = resolve(process.settings, config, environment, others=keys_of_all)
    try:
        settings = resolved.settings_or_raise()
    except ConfigurationError as error:
        print(f"telltale {process.name}: {error}", file=sys.stderr)
        return error.exit_code
    keep_collections_short()
    configure_logs(settings.log_level, settings.log_format, process=process.name)
    log = structlog.get_logger(f"telltale.{process.name}")
    for warning in resolved.warnings:
        log.warning(warning)
    try:
        return asyncio.run(_supervise(process, settings))
    except KeyboardInterrupt:  # only before the handlers stand
        return 0


async def _supervise(process: Process[Any], settings: Any) -> int:
    context: Context[Any] = Context(process.name, settings)
    log = context.log
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        if context.stopping.is_set():
            log.warning(f"Ended at once by a second {number.name}: what was in flight is not finished")
            sys.stderr.flush()
            os._exit(1)
        log.info(f"Draining, asked by {number.name}", limit_s=settings.drain_timeout_s)
        context.health.drain()
        context.stopping.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, asked, number)
    try:
        async with serving(context) as port:
            log.info(f"Started {process.name} {program_version()}", http_port=port, pid=os.getpid())
            await _until_drained(process, context)
    except Stopped as stopped:
        log.info(f"Ended: {stopped}")
        return 0
    except TelltaleError as error:
        log.error(str(error), exit_code=error.exit_code)
        return error.exit_code
    except Exception as error:
        log.exception(f"Ended by an unexpected {type(error).__name__}: {error}", exit_code=1)
        return 1
    else:
        log.info("Drained and ended" if context.stopping.is_set() else "Ended by itself, all work done")
        return 0
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _until_drained(process: Process[Any], context: Context[Any]) -> None:
    """Return when the coroutine has returned; TelltaleError when it does not within the drain time-out."""
    work = asyncio.ensure_future(process.main(context))
    stopping = asyncio.create_task(context.stopping.wait(), name="stopping")
    try:
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait({work}, timeout=context.settings.drain_timeout_s)
        if not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=_AFTER_CANCEL_S)
            limit = format_duration(context.settings.drain_timeout_s * 1000)
            raise TelltaleError(
                f"Not drained within {limit} (drainTimeout); what was in flight is not finished"
            )
        if work.cancelled():
            raise TelltaleError("The process cancelled itself")
        work.result()
    finally:
        stopping.cancel()
        work.cancel()
