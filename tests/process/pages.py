"""docs/settings.md and docs/metrics.md are made from the code that they describe.

python -m tests.process.pages        writes both; a test compares
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client import REGISTRY

from pipeline.process import server  # noqa: F401  (its metrics)
from pipeline.process.failures import TelltaleError
from pipeline.process.keys import Key, keys_of
from pipeline.process.registry import load_processes
from pipeline.process.topics import STAGES
from pipeline.runtime.metrics import stage_metrics

DOCS = Path(__file__).parents[2] / "docs"

SETTINGS_HEAD = """# Settings

Made by `python -m tests.process.pages`; a test compares.

Every process reads `TELLTALE_*` variables, over one YAML file (`--config FILE`, or `TELLTALE_CONFIG`),
over the defaults. One file serves all processes: a key that another process reads is no mistake, a key that
none reads is. What is wrong is told all at once, with exit code 2. `telltale settings [PROCESS]` shows each
key with the value in force and where it came from.

- In the file keys are nested (`kafka: {bootstrap: …}`), and every value is the text that it is in the
  environment: `on` is `on`. `null` is not set. An empty variable is not set.
- A duration carries its unit: `25s`, `1m30s`, `250ms`; a bare number is seconds.
- A list in a variable is comma separated, or JSON.
- A secret may be in a file instead: the variable with `_FILE`, or the key with `File`.
"""

METRICS_HEAD = """# Metrics

Made by `python -m tests.process.pages`; a test compares.

Each process serves its own at `/metrics`. A name is `telltale_<process>_<thing>_<unit>`, with `_total` for
what only grows. Labels are bounded: never a vehicle. Beside these there are `process_*` and `python_*` of
the Prometheus client.
"""


class Metric(NamedTuple):
    """A metric as it is registered."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def metrics() -> list[Metric]:
    """Every metric of every process, in the order of their names."""
    for process in load_processes():
        if isinstance(process, TelltaleError):
            raise process
    for stage in STAGES:
        stage_metrics(stage)
    return sorted(_registered())


def _registered() -> Iterator[Metric]:
    for collector in list(REGISTRY._collector_to_names):
        for described in collector.describe() if hasattr(collector, "describe") else ():
            if described.name.startswith("telltale_"):
                suffix = {"counter": "_total", "info": "_info"}.get(described.type, "")
                labels = tuple(getattr(collector, "_labelnames", ()))
                yield Metric(described.name + suffix, described.type, labels, described.documentation)


def metrics_page() -> str:
    """docs/metrics.md."""
    parts = [METRICS_HEAD]
    every = metrics()
    for process in dict.fromkeys(metric.name.split("_")[1] for metric in every):
        title = "Every process" if process == "process" else f"`{process}`"
        rows = [
            (f"`{it.name}`", it.kind, ", ".join(it.labels) or "–", _sentence(it.meaning))
            for it in every
            if it.name.split("_")[1] == process
        ]
        parts.append(f"## {title}\n\n" + _table(("name", "type", "labels", "meaning"), rows))
    return "\n".join(parts)


def settings_page() -> str:
    """docs/settings.md."""
    readers: dict[str, list[str]] = {}
    keys: dict[str, Key] = {}
    processes = []
    for process in load_processes():
        if isinstance(process, TelltaleError):
            raise process
        processes.append(process.name)
        for key in keys_of(process.settings):
            keys.setdefault(key.key, key)
            readers.setdefault(key.key, []).append(process.name)
    blocks: dict[tuple[str, ...], list[Key]] = {}
    for name, key in keys.items():
        blocks.setdefault(tuple(readers[name]), []).append(key)
    parts = [SETTINGS_HEAD]
    for names, block in sorted(blocks.items(), key=lambda item: (-len(item[0]), item[0])):
        title = "Every process" if list(names) == processes else ", ".join(f"`{name}`" for name in names)
        rows = [(f"`{it.key}`", f"`{it.variable}`", _default(it), _sentence(it.meaning)) for it in block]
        parts.append(f"## {title}\n\n" + _table(("key", "variable", "default", "meaning"), rows))
    return "\n".join(parts)


def _default(key: Key) -> str:
    if key.field.default_factory is not None:
        return "–"  # made on the machine where it runs: the meaning says how
    shown = key.show(key.default())
    return f"`{shown}`" if shown else "–"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "".join(f"| {line} |\n" for line in lines)


PAGES = {"settings.md": settings_page, "metrics.md": metrics_page}


def main() -> None:
    """Write the pages."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        print(f"wrote docs/{name}")


if __name__ == "__main__":
    main()
