"""docs/settings.md and docs/metrics.md say what the code says, and names keep their form."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json
from tests.process import pages
print(json.dumps({
    "pages": {name: make() for name, make in pages.PAGES.items()},
    "metrics": [metric._asdict() for metric in pages.metrics()],
}))
"""


@pytest.fixture(scope="module")
def made() -> Any:
    """In a process of its own: other tests register metrics of theirs."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["settings.md", "metrics.md"])
def test_a_page_is_what_the_code_says(made: Any, name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == made["pages"][name], "run `python -m tests.process.pages`"


def test_every_metric_has_the_form_of_its_kind(made: Any) -> None:
    processes = "process|uplink|downlink|normalize|alerts|geofences|aggregations|operator"
    odd = []
    for metric in made["metrics"]:
        name, kind = metric["name"], metric["kind"]
        fits = re.fullmatch(rf"telltale_({processes})_[a-z0-9]+(_[a-z0-9]+)*", name) is not None
        fits &= name.endswith("_total") == (kind == "counter")
        fits &= kind != "histogram" or name.endswith(("_seconds", "_bytes", "_records"))
        fits &= len(metric["meaning"]) > 10
        fits &= not {"vehicle", "vehicle_id", "key", "alert_id"} & set(metric["labels"])
        if not fits:
            odd.append(metric)
    assert odd == []


def test_every_setting_has_a_meaning(made: Any) -> None:
    rows = [line for line in made["pages"]["settings.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    assert [row for row in rows if row.endswith("|  |")] == []
