"""The validating webhook: an HTTPS server that judges resources in a process of its own, within a time.

Whoever may create a resource decides what is judged here. So the text is bounded, the judge is another
process, and one that does not come to an end is killed: the resource is let in with a warning then, and its
status will say what became of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import orjson
import structlog
from aiohttp import web
from prometheus_client import Counter

from k8s.api import Api
from k8s.crds import DOCUMENT_KINDS
from k8s.resources.admission import NotAReview, Review, answer, read_review
from k8s.resources.asking import taken_by
from k8s.resources.documents import Asked, Place
from k8s.resources.examining import Examined, context, examine, warm
from k8s.resources.index import Index
from k8s.resources.settings import RuleResources
from k8s.resources.tenancy import Tenancy, tenancy_of
from k8s.resources.trust import Certificates
from pipeline.process.children import end_with_parent
from pipeline.process.failures import ConfigurationError
from rules import Diagnostic

log = structlog.get_logger(__name__)

REVIEWS = Counter(
    "telltale_operator_admission_reviews", "Resources that the webhook was asked about", ["outcome"]
)
PATH = "/validate"
_NO_KAFKA = "nothing runs this: the operator knows no Kafka to write rules to (the chart's kafka.bootstrap)"
_MOST_BYTES = 16 << 20
_MOST_WAITING = 64
_PAUSE_S = 5.0


class Judge:
    """Examines documents in another process, which is replaced when it takes too long or dies.

    A process needs a moment to start: until it has, nothing is judged, and no time-out kills it meanwhile.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._waiting = 0
        self._one = asyncio.Lock()
        self._ready = asyncio.Event()
        self._pool = _pool()
        self._starting = asyncio.create_task(self._start(), name="judge")

    async def examine(self, place: Place, text: str, beside: Mapping[Place, str]) -> Examined | None:
        """What is wrong with a document; None where that was not found out in time."""
        if self._waiting >= _MOST_WAITING:
            return None
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    return await self._ask(place, text, beside)
                except BrokenProcessPool:  # it had died before, or this document killed it
                    return await self._ask(place, text, beside)
        except (TimeoutError, BrokenProcessPool):
            return None
        finally:
            self._waiting -= 1

    async def _ask(self, place: Place, text: str, beside: Mapping[Place, str]) -> Examined:
        await self._ready.wait()
        async with self._one:
            pool = self._pool
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(pool, examine, place, text, dict(beside))
            except (asyncio.CancelledError, BrokenProcessPool):
                self._end()
                self._pool = _pool()
                self._starting = asyncio.create_task(self._start(), name="judge")
                raise

    async def _start(self) -> None:
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._pool, warm)
            except BrokenProcessPool:
                log.error("The judge does not start: resources are let in unjudged")
                await asyncio.sleep(_PAUSE_S)
                self._pool = _pool()
            else:
                self._ready.set()
                return

    def _end(self) -> None:
        self._ready.clear()
        self._starting.cancel()
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End the process."""
        self._end()


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """In the judge: whoever asks the operator to end asks the operator, and it ends with it."""
    end_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


class Webhook:
    """Answers reviews with what an index knows."""

    def __init__(
        self, tenancy: Tenancy, origin: str, index: Index, judge: Judge, note: str | None = None
    ) -> None:
        """`note` goes with everything that is let in."""
        self._tenancy, self._origin, self._index, self._judge = tenancy, origin, index, judge
        self._note = note

    def application(self) -> web.Application:
        """As aiohttp serves it."""
        application = web.Application(client_max_size=_MOST_BYTES)
        application.router.add_post(PATH, self._review)
        return application

    async def _review(self, request: web.Request) -> web.Response:
        try:
            review = read_review(orjson.loads(await request.read()), self._tenancy, self._origin)
        except (NotAReview, ValueError, RecursionError) as error:
            REVIEWS.labels("malformed").inc()
            return web.json_response({"error": str(error)[:500]}, status=400)
        body = await self._answer(review)
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    async def _answer(self, review: Review) -> dict[str, object]:
        asked = review.asked
        if asked is None:
            REVIEWS.labels("passed").inc()
            return answer(review, None)
        if asked.findings:
            REVIEWS.labels("refused").inc()
            return answer(review, Examined(asked.findings, ()))
        if (taken := self._taken(asked)) is not None:
            REVIEWS.labels("refused").inc()
            return answer(review, Examined((taken,), ()))
        if not self._index.is_whole:
            REVIEWS.labels("unjudged").inc()
            why = "not judged yet, the operator is starting: see the status"
            return answer(review, None, unjudged=why, note=self._note)
        examined = await self._judge.examine(asked.place, asked.text, context(asked.place, self._documents()))
        if examined is None:
            REVIEWS.labels("unjudged").inc()
            log.warning("A resource was not judged in time", resource="/".join(asked.key))
            why = "not judged within the time that there is: see the status"
            return answer(review, None, unjudged=why, note=self._note)
        REVIEWS.labels("refused" if examined.errors else "accepted").inc()
        return answer(review, examined, note=self._note)

    def _taken(self, asked: Asked) -> Diagnostic | None:
        """Why the name is another resource's."""
        for each in self._index.asked.values():
            if each.place == asked.place and each.key != asked.key:
                return taken_by(each.key, asked)
        return None

    def _documents(self) -> dict[Place, str]:
        asked = self._index.asked.values()
        return {each.place: each.canonical for each in asked if each.canonical is not None}


async def run_webhook(
    api: Api,
    options: RuleResources,
    listens: asyncio.Event,
    *,
    namespace: str,
    namespaces: Sequence[str] = (),
) -> None:
    """Serve until cancelled, `listens` once it does; `namespace` is the operator's own.

    Raises ConfigurationError where it cannot.
    """
    try:
        await _run(api, options, listens, namespace, namespaces)
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


async def _run(
    api: Api, options: RuleResources, listens: asyncio.Event, namespace: str, namespaces: Sequence[str]
) -> None:
    tenancy = tenancy_of(options, namespace)
    index = Index(tenancy, options.origin)
    certificates = Certificates(api, options.webhook, namespace)
    judge = Judge(options.webhook.timeout_s)
    kinds = [custom.kind for custom in DOCUMENT_KINDS]
    webhook = Webhook(tenancy, options.origin, index, judge, None if options.enabled else _NO_KAFKA)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(index.follow(api, kinds, namespaces), name="webhook index")
            tasks.create_task(certificates.keep(), name="webhook certificates")
            await certificates.loaded.wait()
            async with _serving(webhook, options, certificates) as port:
                log.info("The webhook listens", port=port)
                listens.set()
                await asyncio.get_running_loop().create_future()
    finally:
        judge.close()


@contextlib.asynccontextmanager
async def _serving(
    webhook: Webhook, options: RuleResources, certificates: Certificates
) -> AsyncIterator[int]:
    runner = web.AppRunner(webhook.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        where = options.webhook
        site = web.TCPSite(runner, where.host or None, where.port, ssl_context=certificates.context)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(f"resources.webhook.port: cannot listen: {error}") from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
