"""`telltale vehicles` on a real Kafka: what is written is where the stages look, and is read again."""

from __future__ import annotations

import asyncio
import json

import pytest

from pipeline.process import ProcessSettings
from pipeline.process.topics import TOPICS
from pipeline.topics import Admin, wanted
from tests.process.commands import Here

pytestmark = pytest.mark.integration


async def _topics(address: str, prefix: str) -> None:
    settings = ProcessSettings(prefix=prefix, partitions=3, kafka={"bootstrap": address})  # type: ignore[arg-type]
    async with Admin(settings) as admin:
        topics = [TOPICS[name] for name in ("vehicle.registry", "vehicle.raw")]
        await admin.create([wanted(settings, topic, replication=1) for topic in topics])


@pytest.fixture
def fleet(here: Here, kafka_address: str, prefix: str) -> Here:
    """An installation whose registry is empty."""
    asyncio.run(_topics(kafka_address, prefix))
    here.set(TELLTALE_KAFKA_BOOTSTRAP=kafka_address, TELLTALE_PREFIX=prefix)
    return here


CSV = "vehicleId,labels.model,attributes.limit\nv1,ET5,90\nv2,ES6,120\nv3,,\n"


def test_vehicles_are_imported_set_listed_and_forgotten(fleet: Here) -> None:
    (fleet.directory / "fleet.csv").write_text(CSV)
    assert fleet("vehicles", "import", "fleet.csv", "--dry-run").stdout == (
        "3 vehicles: 3 would be new, 0 would be changed, 0 as before\n"
    )
    assert fleet("vehicles", "list", "--json") == (0, "", "")
    assert fleet("vehicles", "import", "fleet.csv").stdout == "3 vehicles: 3 new, 0 changed, 0 as before\n"

    done = fleet("vehicles", "set", "v1", "--attribute", "hazmat=true", "--remove", "labels.model")
    assert done == (0, "v1                    hazmat=true  limit=90\n", "")
    done = fleet("vehicles", "get", "v1", "--json")
    assert json.loads(done.stdout) == {
        "vehicleId": "v1",
        "labels": {},
        "attributes": {"limit": 90.0, "hazmat": True},
    }
    assert "  attribute  limit                     90\n" in fleet("vehicles", "get", "v1").stdout

    listed = fleet("vehicles", "list", "--json")
    (fleet.directory / "again.jsonl").write_text(listed.stdout)
    assert fleet("vehicles", "import", "again.jsonl").stdout == "3 vehicles: 0 new, 0 changed, 3 as before\n"
    assert [json.loads(line)["vehicleId"] for line in listed.stdout.splitlines()] == ["v1", "v2", "v3"]
    assert fleet("vehicles", "list", "--label", "model=ES6").stdout.startswith("v2 ")

    assert json.loads(fleet("vehicles", "forget", "v1", "v2", "--json").stdout) == {"forgotten": ["v1", "v2"]}
    gone = fleet("vehicles", "get", "v1")
    assert (gone.returncode, gone.stderr) == (1, "telltale: the registry does not have v1\n")
    raw = fleet("tail", "raw", "--from-beginning", "--no-follow", "--json").stdout.splitlines()
    told = sorted((json.loads(line)["key"], json.loads(line)["value"]) for line in raw)
    assert told == [("v1", None), ("v2", None)]


def test_nothing_is_written_of_files_with_problems(fleet: Here) -> None:
    (fleet.directory / "good.csv").write_text(CSV)
    (fleet.directory / "bad.csv").write_text("vehicleId,attributes.limit:number\nv7,fast\nv1,5\n")
    done = fleet("vehicles", "import", "good.csv", "bad.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "bad.csv:2: the attribute 'limit': 'fast' is no number",
        "bad.csv:3: 'v1' is there twice, first in good.csv:2",
        "telltale: 2 problems; nothing was written",
    ]
    assert fleet("vehicles", "list").stderr == "telltale: no vehicle there\n"
    report = fleet("vehicles", "import", "bad.csv", "--json")
    assert json.loads(report.stdout)["problems"] == [
        "bad.csv:2: the attribute 'limit': 'fast' is no number",
    ]


CATALOG = """
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec:
  timestamp: {path: ts}
  signals: {Vehicle.Speed: {path: speed}}
  vehicle: {attributes: {speedLimit: {type: number}}}
"""


def test_a_catalog_that_declares_attributes_refuses_others(fleet: Here) -> None:
    (fleet.directory / "catalog.yaml").write_text(CATALOG)
    (fleet.directory / "fleet.csv").write_text("vehicleId,attributes.speedlimit\nv1,90\n")
    fleet.set(TELLTALE_RULES="catalog.yaml")
    done = fleet("vehicles", "import", "fleet.csv")
    assert done.returncode == 1
    assert (
        "fleet.csv:2: the attribute 'speedlimit' is not declared: did you mean 'speedLimit'?" in done.stderr
    )
    done = fleet("vehicles", "set", "v1", "--attribute", "speedLimit=fast", "--rules", "catalog.yaml")
    assert done.returncode == 2
    assert "'fast' is no number" in done.stderr
    assert fleet("vehicles", "set", "v1", "--attribute", "speedLimit=90").returncode == 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("set", "v1"), "nothing to set"),
        (("set", "v1", "--label", "a b=c"), "the label 'a b'"),
        (("set", "v1", "--attribute", "limit:number=x"), "'x' is no number"),
        (("set", "v1", "--remove", "model"), "write labels.NAME or attributes.NAME"),
        (("set", "", "--label", "a=b"), "the vehicle id is empty"),
        (("forget", "v" * 300), "300 bytes"),
        (("import", "none.csv"), "No such file"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(fleet: Here, words: tuple[str, ...], problem: str) -> None:
    done = fleet("vehicles", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr


def test_without_its_topics_there_is_no_registry(here: Here, kafka_address: str, prefix: str) -> None:
    done = here("vehicles", "list", TELLTALE_KAFKA_BOOTSTRAP=kafka_address, TELLTALE_PREFIX=prefix)
    assert done.returncode == 4
    assert "telltale topics create" in done.stderr
