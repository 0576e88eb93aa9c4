"""`telltale run operator`: several may run, one leads and acts; the others are ready to.

Who loses the lead ends with exit code 1 and is started anew: what it had begun is found as it stands by
whoever leads then, since every pass begins with what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from prometheus_client import Gauge

from k8s.api import Api
from k8s.api_errors import ApiError, Unavailable
from k8s.kinds import RULE_PIPELINE
from k8s.operator.controller import Controller
from k8s.operator.leadership import Leadership, Lost, Terms
from k8s.operator.settings import OperatorSettings
from k8s.resources import run_resources, run_webhook
from pipeline.process import Context, Process, TelltaleError

LEADS = Gauge("telltale_operator_leader", "1 while this operator leads")


async def main(context: Context[OperatorSettings]) -> None:
    """Lead, and look after pipelines while leading."""
    settings = context.settings.operator
    api = Api.connect(settings.kubeconfig)
    async with api:
        await context.reach("the API server", api.version, retry_on=(ApiError,))
        await context.reach("the CRD of RulePipeline", lambda: _has_kind(api), retry_on=(ApiError,))
        terms = Terms(
            namespace=settings.namespace,
            name=settings.lease_name,
            holder=f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}",
            duration_s=settings.lease_duration_s,
            renew_deadline_s=settings.renew_deadline_s,
            retry_period_s=settings.retry_period_s,
        )
        async with _judging(context, api):
            # Ready without leading: a roll-out of the operator must not wait for the lead to change hands.
            context.health.check("operator", lambda: None)
            async with _leading(context, Leadership(api, terms)) as leads:
                if leads:
                    await _lead(context, api)


@contextlib.asynccontextmanager
async def _judging(context: Context[OperatorSettings], api: Api) -> AsyncIterator[None]:
    """Answer the webhook during the block, whoever leads."""
    settings = context.settings
    if not settings.resources.webhook.enabled:
        yield
        return
    where, listens = settings.operator, asyncio.Event()
    # The API server asks whoever is ready.
    context.health.check("webhook", lambda: None if listens.is_set() else "it does not listen yet")
    work = run_webhook(
        api, settings.resources, listens, namespace=where.namespace, namespaces=where.namespaces
    )
    answering = asyncio.create_task(work, name="webhook")
    body = asyncio.current_task()
    assert body is not None
    answering.add_done_callback(lambda task: None if task.cancelled() else body.cancel())
    try:
        yield
    except asyncio.CancelledError:
        if answering.done() and not answering.cancelled() and (error := answering.exception()) is not None:
            raise error from None
        raise
    finally:
        answering.cancel()
        await asyncio.wait({answering})


@contextlib.asynccontextmanager
async def _leading(context: Context[OperatorSettings], leadership: Leadership) -> AsyncIterator[bool]:
    """Wait for the lead, keep it during the block, and give it back; False if asked to stop before."""
    context.about["leads"] = False
    if not await _unless_stopping(context, leadership.acquire()):
        yield False
        return
    context.log.info("Leading")
    context.about["leads"] = True
    LEADS.set(1)
    keeping = asyncio.create_task(leadership.keep(), name="lease")
    body = asyncio.current_task()
    assert body is not None
    keeping.add_done_callback(lambda task: None if task.cancelled() else body.cancel())
    try:
        yield True
    except asyncio.CancelledError:
        if keeping.done() and not keeping.cancelled():
            error = keeping.exception()
            if isinstance(error, Lost):
                raise TelltaleError(f"The lead is lost: {error}") from error
            if error is not None:
                raise error from None
        raise
    finally:
        LEADS.set(0)
        context.about["leads"] = False
        keeping.cancel()
        await asyncio.wait({keeping})
        await leadership.release()


async def _lead(context: Context[OperatorSettings], api: Api) -> None:
    """Everything that only one may do."""
    await _unless_stopping(context, _all(context.settings, api))


async def _all(settings: OperatorSettings, api: Api) -> None:
    where, options = settings.operator, settings.resources
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Controller(api, where).run(), name="pipelines")
        if options.enabled:
            work = run_resources(
                api, settings, options, namespace=where.namespace, namespaces=where.namespaces
            )
            tasks.create_task(work, name="rules")


async def _unless_stopping(context: Context[OperatorSettings], work: Coroutine[Any, Any, None]) -> bool:
    """Whether the work ended by itself; it is cancelled when the process is asked to stop."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(context.stopping.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        task.result()
        return True
    finally:
        stopping.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _has_kind(api: Api) -> None:
    kind = RULE_PIPELINE
    if f"{kind.group}/{kind.version}/{kind.plural}" not in await api.served():
        raise Unavailable(f"the cluster has no {kind.resource}; the chart installs it")


process = Process("operator", OperatorSettings, main, "RulePipelines and rule resources become what they say")
