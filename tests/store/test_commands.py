"""`telltale rules` on a real Kafka: a rollout from its beginning to either end, and who may end it."""

import asyncio
import json

import pytest

from pipeline.process import ProcessSettings
from pipeline.process.topics import TOPICS
from pipeline.store import RulesLog, propose, roll_back_rollout
from pipeline.topics import Admin, wanted
from rules import Source, parse
from tests.conftest import KafkaAddress
from tests.process.commands import Done, Here
from tests.store.test_revisions import CATALOG, alert, sequence
from tests.store.test_rollouts import rollout

pytestmark = pytest.mark.integration


class Rules:
    """An installation where nothing was applied yet."""

    def __init__(self, here: Here, settings: ProcessSettings) -> None:
        self.settings = settings
        self._here = here

    def __call__(self, *words: str, code: int = 0) -> Done:
        done = self._here("rules", *words)
        assert done.returncode == code, done
        return done

    def file(self, name: str, *texts: str) -> str:
        (self._here.directory / name).write_text("---\n".join(texts))
        return name

    def history(self) -> list[dict[str, object]]:
        found = [json.loads(line) for line in self("history", "--json").stdout.splitlines()]
        return found[::-1]


@pytest.fixture
def rules(here: Here, kafka: KafkaAddress, prefix: str) -> Rules:
    settings = ProcessSettings(prefix=prefix, partitions=1, kafka={"bootstrap": kafka.bootstrap})  # type: ignore[arg-type]

    async def create() -> None:
        async with Admin(settings) as admin:
            await admin.create([wanted(settings, TOPICS["telltale.rules"], replication=1)])

    asyncio.run(create())
    here.set(TELLTALE_KAFKA_BOOTSTRAP=kafka.bootstrap, TELLTALE_PREFIX=prefix)
    return Rules(here, settings)


def test_a_rollout_is_begun_raised_and_promoted(rules: Rules) -> None:
    new = rules.file("new.yaml", alert("fast", "speed > 130"))
    assert "TT203" in rules("apply", new, "--percent", "10", code=2).stderr
    first = rules.file("first.yaml", CATALOG, alert("fast"), sequence("stops", 100))
    refused = rules("apply", first, "--percent", "10", code=2).stderr
    assert "apply the rules without it first" in refused
    assert rules("promote", code=2).stderr.startswith(
        "telltale: no rollout runs: there is nothing to promote"
    )
    rules("apply", first)

    assert rules("apply", new, "--percent", "12.5", "--salt", "a", "--dry-run").stdout == (
        "+ Rollout rollout\n~ AlertRule fast\n"
        "would be revision 2: candidate for 12.5 % of the vehicles, beside revision 1\n"
    )
    told = json.loads(rules("apply", new, "--percent", "12.5", "--salt", "a", "--json").stdout)
    assert (told["revision"], told["role"], told["stable"], told["percent"]) == (2, "candidate", 1, 12.5)
    got = rules("get", "rollout")
    assert json.loads(got.stdout)["spec"] == {"percent": 12.5, "salt": "a"}
    assert got.stderr == "revision 2: candidate for 12.5 % of the vehicles, beside revision 1\n"

    # The share is raised, the salt stays, and so do the vehicles that have the candidate.
    assert "candidate for 50 % of the vehicles, beside revision 1" in rules("apply", "--percent", "50").stdout
    assert json.loads(rules("get", "rollout").stdout)["spec"] == {"percent": 50.0, "salt": "a"}
    assert rules("apply", "--percent", "50").stdout == "revision 3 is the same: nothing was written\n"
    refused = rules("delete", "Rollout/rollout", code=2).stderr
    assert "telltale rules promote" in refused
    assert "telltale rules rollback" in refused

    assert "would be revision 4: revision 3 is promoted" in rules("promote", "--dry-run").stdout
    assert rules("promote", "-m", "went well").stdout == (
        "- Rollout rollout\nrevision 4: revision 3 is promoted\n"
    )
    lines = rules("history").stdout.splitlines()
    assert lines[0].startswith("*    4  ")
    assert lines[0].endswith("revision 3 is promoted; went well")
    assert [(it["role"], it["stable"], it["percent"]) for it in rules.history()] == [
        ("plain", None, None),
        ("candidate", 1, 12.5),
        ("candidate", 1, 50.0),
        ("promoted", None, None),
    ]
    # After a promotion the way back is to what ran before the rollout.
    assert "~ AlertRule fast" in rules("rollback").stdout
    assert '"speed > 120"' in rules("get", "fast").stdout


def test_a_rollout_of_a_file_is_taken_back(rules: Rules) -> None:
    rules("apply", rules.file("first.yaml", CATALOG, sequence("stops", 100)))
    limits = rollout(20, "careful").replace("{percent", "{rollBackIf: {fireRatioAbove: 2}, percent")
    new = rules.file("new.yaml", sequence("stops", 90), limits)
    assert "~ SequenceRule stops (its state begins anew)" in rules("apply", new).stdout
    rules("apply", "--percent", "30")
    assert json.loads(rules("get", "careful").stdout)["spec"] == {
        "percent": 30.0,
        "rollBackIf": {"fireRatioAbove": 2.0},
    }
    # Another rollout in a file takes the place of the one that runs, whatever its name is.
    rules("apply", rules.file("other.yaml", rollout(5)))
    assert rules("rollback").stdout == (
        "- Rollout rollout\n~ SequenceRule stops\nrevision 5: revision 4 is taken back\n"
    )
    assert [it["role"] for it in rules.history()][-1] == "rolledBack"
    assert rules("rollback", code=2).stderr.startswith("telltale: there is no revision 0 to go back to")


def test_arguments_that_mean_nothing_are_refused(rules: Rules) -> None:
    for words, reason in (
        (["apply"], "name files or directories"),
        (["apply", "x.yaml", "--salt", "a"], "--salt needs --percent"),
        (["apply", "--percent", "10", "--prune"], "--prune needs files"),
        (["apply", "--percent", "101"], "less than or equal to 100"),
    ):
        assert reason in rules(*words, code=2).stderr
    rules("apply", rules.file("first.yaml", CATALOG, alert("fast")))
    assert "at most two decimals" in rules("apply", "--percent", "0.001", code=2).stderr


def test_of_workers_that_take_a_candidate_back_at_once_one_does(rules: Rules) -> None:
    rules("apply", rules.file("first.yaml", CATALOG, sequence("stops", 100)))
    rules("apply", rules.file("new.yaml", sequence("stops", 90)), "--percent", "10")

    async def judge(*candidates: int) -> list[bool]:
        asked = [roll_back_rollout(rules.settings, it, "it fires 3 times as often") for it in candidates]
        return await asyncio.gather(*asked)

    assert asyncio.run(judge(1, 7)) == [False, False]
    assert sorted(asyncio.run(judge(2, 2, 2))) == [False, False, True]
    assert asyncio.run(judge(2)) == [False]

    async def read() -> tuple[int, dict[str, int]]:
        async with RulesLog(rules.settings) as log:
            revisions = await log.read()
            return revisions.head, revisions.manifest(revisions.head).lineages

    assert asyncio.run(read()) == (3, {"stops": 1})
    last = rules.history()[-1]
    assert (last["author"], last["message"], last["role"]) == (
        "telltale",
        "it fires 3 times as often",
        "rolledBack",
    )


def test_ten_thousand_documents_are_one_change(rules: Rules) -> None:
    """Far more records than a transaction has time for, were each one waited for."""
    head = "apiVersion: telltale.dev/v1alpha1\nkind: Geofence\nmetadata: {name: %s}\nspec: {circle: %s}\n"
    names = [f"{'fence-' * 8}{number:05d}" for number in range(10_000)]
    texts = [head % (name, "{latitude: 1, longitude: 2, radiusMeters: 9}") for name in names]
    loaded = parse([Source("rules.yaml", CATALOG), *(Source(f"{n}.yaml", it) for n, it in enumerate(texts))])

    async def apply() -> int:
        async with RulesLog(rules.settings) as log:
            change = propose(
                await log.read(), loaded, author="ann", message="", at="2026-01-01T00:00:00.000Z"
            )
            await log.write(change)
        async with RulesLog(rules.settings) as log:
            return len((await log.read()).sources(1))

    assert asyncio.run(apply()) == 10_001
