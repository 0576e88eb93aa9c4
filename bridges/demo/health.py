"""How each child is, asked at the two pages that every process serves: /readyz and /metrics."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import aiohttp

from bridges.demo.children import Child, Phase

_SAMPLE = re.compile(r"^(process_cpu_seconds_total|process_resident_memory_bytes) (\S+)$", re.MULTILINE)
_TIMEOUT = aiohttp.ClientTimeout(total=2.0)


@dataclass(slots=True)
class Condition:
    """What was last known: ready or what is missing, share of one core, MB of memory."""

    ready: bool = False
    missing: str = ""
    cpu: float | None = None
    memory_mb: float | None = None
    _cpu_seconds: tuple[float, float] | None = field(default=None, repr=False)

    def measured(self, now: float, cpu_seconds: float) -> None:
        """The share of a core since the last measurement; none across a restart."""
        self.cpu = None
        if self._cpu_seconds is not None:
            then, before = self._cpu_seconds
            if now > then and cpu_seconds >= before:
                self.cpu = (cpu_seconds - before) / (now - then)
        self._cpu_seconds = (now, cpu_seconds)


class Rounds:
    """Asks all children, again and again; `conditions` is what they said, by name."""

    def __init__(self, children: Iterable[Child]) -> None:
        self._children = tuple(children)
        self.conditions = {child.name: Condition() for child in self._children}

    def missing(self, names: Iterable[str]) -> dict[str, str]:
        """What keeps each of these children from being ready; empty when all are."""
        asked = {name: self.conditions[name] for name in names}
        return {name: it.missing or "it is starting" for name, it in asked.items() if not it.ready}

    async def make(self, every_s: float = 1.0) -> None:
        """Ask until cancelled."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while True:
                await asyncio.gather(*(self._ask(session, child) for child in self._children))
                await asyncio.sleep(every_s)

    async def _ask(self, session: aiohttp.ClientSession, child: Child) -> None:
        condition = self.conditions[child.name]
        if child.phase is not Phase.RUNNING or child.http_port is None:
            condition.ready, condition.missing = (
                False,
                "" if child.phase is Phase.STARTING else child.phase.value,
            )
            return
        address = f"http://127.0.0.1:{child.http_port}"
        try:
            async with session.get(f"{address}/readyz") as answer:
                page = await answer.json()
            condition.ready = bool(page["ready"])
            condition.missing = "; ".join(str(missing) for missing in page["missing"].values())
            async with session.get(f"{address}/metrics") as answer:
                samples = dict(_SAMPLE.findall(await answer.text()))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError):
            condition.ready, condition.missing = False, "does not answer"
            return
        now = asyncio.get_running_loop().time()
        if "process_cpu_seconds_total" in samples:
            condition.measured(now, float(samples["process_cpu_seconds_total"]))
        if "process_resident_memory_bytes" in samples:
            condition.memory_mb = float(samples["process_resident_memory_bytes"]) / 1e6
