"""All parts of rule resources together, for as long as the operator leads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from k8s.api import Api
from k8s.crds import DOCUMENT_KINDS
from k8s.resources.index import Index
from k8s.resources.settings import RuleResources
from k8s.resources.telling import Teller
from k8s.resources.tenancy import tenancy_of
from k8s.resources.writing import Writer
from pipeline.process.settings import ProcessSettings


async def run_resources(
    api: Api,
    settings: ProcessSettings,
    options: RuleResources,
    *,
    namespace: str,
    namespaces: Sequence[str] = (),
) -> None:
    """Keep telltale.rules as resources ask for, and their statuses as things are, until cancelled.

    `namespace` is the operator's own; resources of `namespaces` count, or all. Only one may do so at a time;
    should two, neither harms the other: each write is refused that does not know the one before it.
    """
    index = Index(tenancy_of(options, namespace), options.origin)
    writer = Writer(settings, options, index)
    kinds = {custom.kind.name: custom.kind for custom in DOCUMENT_KINDS}
    teller = Teller(api, kinds, index, writer, rate=options.status_rate)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(index.follow(api, kinds.values(), namespaces), name="rule resources")
        tasks.create_task(writer.run(), name="rules writer")
        tasks.create_task(teller.run(settings), name="rule statuses")
