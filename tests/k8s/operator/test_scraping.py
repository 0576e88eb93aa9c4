"""Metrics from a Prometheus or from the pods: the same counts, and silence where there are none."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from k8s.operator.scraping import PodMetrics, PrometheusMetrics
from k8s.pipelines.readings import Counts, Worker

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
WORKERS = [Worker("cars-alerts-1", "alerts", "127.0.0.1:1"), Worker("cars-uplink-1", "uplink", "127.0.0.1:1")]


def series(name: str, pod: str, value: str, **labels: str) -> dict[str, Any]:
    return {"metric": {"__name__": name, "pod": pod, **labels}, "value": [1764590000.123, value]}


def read(answer: Answer, *, url: str = "/prefix/") -> tuple[dict[str, Counts], list[web.Request]]:
    """What is read of a Prometheus that answers so, and what it was asked."""
    asked = []

    async def heard(request: web.Request) -> web.StreamResponse:
        await request.post()
        asked.append(request)
        return await answer(request)

    async def go() -> dict[str, Counts]:
        application = web.Application()
        application.router.add_post("/prefix/api/v1/query", heard)
        async with TestServer(application) as server, aiohttp.ClientSession() as session:
            metrics = PrometheusMetrics(session, str(server.make_url(url)), "fleet")
            return dict(await metrics.read(WORKERS))

    return asyncio.run(go()), asked


def test_a_prometheus_is_asked_once_for_all_pods_and_counts_by_pod() -> None:
    found = [
        series("telltale_alerts_records_total", "cars-alerts-1", "100", partition="0"),
        series("telltale_alerts_records_total", "cars-alerts-1", "20", partition="1"),
        series("telltale_alerts_outputs_total", "cars-alerts-1", "7", topic="vehicle.alerts"),
        series("telltale_alerts_outputs_total", "cars-alerts-1", "3", topic="vehicle.dead-letter"),
        series("telltale_alerts_dead_letters_total", "cars-alerts-1", "3"),
        series("telltale_alerts_lag_records", "cars-alerts-1", "NaN"),
        series("telltale_uplink_received_messages_total", "cars-uplink-1", "9"),
        series("telltale_uplink_lag_records", "cars-uplink-1", "4"),
        series("telltale_alerts_records_total", "another-pod", "1"),
    ]

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": found}})

    counts, asked = read(answer)
    assert counts == {
        "cars-alerts-1": Counts(records=120, errors=3, outcomes=7, lag=None),
        "cars-uplink-1": Counts(records=9, lag=4),
    }
    (request,) = asked
    assert asyncio.run(request.post())["query"] == (
        '{__name__=~"telltale_(alerts|uplink)_.*",namespace="fleet",pod=~"cars-alerts-1|cars-uplink-1"}'
    )


BAD: dict[str, Callable[[], web.Response]] = {
    "error": lambda: web.json_response(
        {"status": "error", "errorType": "bad_data", "error": "parse error"}, status=400
    ),
    "page": lambda: web.Response(text="<html>sign in</html>", content_type="text/html"),
    "broken": lambda: web.Response(text='{"status": "succ', content_type="application/json"),
    "list": lambda: web.json_response([]),
    "matrix": lambda: web.json_response({"status": "success", "data": {"result": [{"metric": {}}]}}),
    "number": lambda: web.json_response(
        {"status": "success", "data": {"result": [series("telltale_alerts_x", "cars-alerts-1", "many")]}}
    ),
    "unwilling": lambda: web.Response(status=503),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_a_prometheus_cannot_say_is_silence(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return BAD[kind]()

    assert read(answer)[0] == {}
    said = capsys.readouterr()
    assert "Prometheus did not answer" in said.out + said.err
    assert kind != "error" or "parse error" in said.out + said.err


def test_nobody_listening_is_silence() -> None:
    async def go() -> dict[str, Counts]:
        async with aiohttp.ClientSession() as session:
            return {
                **await PrometheusMetrics(session, "http://127.0.0.1:1", "fleet").read(WORKERS),
                **await PodMetrics(session).read(WORKERS),
            }

    assert asyncio.run(go()) == {}


def test_pods_are_read_each_for_itself() -> None:
    page = "telltale_alerts_records_total 5\ntelltale_alerts_lag_records 2\n"

    async def go(status: int, text: str) -> dict[str, Counts]:
        async def metrics(_request: web.Request) -> web.Response:
            return web.Response(text=text, status=status)

        application = web.Application()
        application.router.add_get("/metrics", metrics)
        async with TestServer(application) as server, aiohttp.ClientSession() as session:
            there = Worker("there", "alerts", f"127.0.0.1:{server.port}")
            return dict(await PodMetrics(session).read([there, Worker("gone", "alerts", "127.0.0.1:1")]))

    assert asyncio.run(go(200, page)) == {"there": Counts(records=5, lag=2)}
    assert asyncio.run(go(500, page)) == {}
    assert asyncio.run(go(200, "no { metrics")) == {}
