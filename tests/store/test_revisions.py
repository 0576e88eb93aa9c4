"""Revisions as a fold over the topic's records: whole or not at all, equal to what was applied, and back."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.store import KEPT, Change, Revisions, StoreDamaged, merged, propose, revert
from rules import Loaded, Source, parse
from rules.compile import fingerprint

CATALOG = """\
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec: {timestamp: {path: ts}, signals: {Vehicle.Speed: {alias: speed}}}
"""


def alert(name: str, when: str = "speed > 120", more: str = "") -> str:
    head = f"apiVersion: telltale.dev/v1alpha1\nkind: AlertRule\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{when: {when}{more}}}\n"


def sequence(name: str, limit: int, severity: str = "warning") -> str:
    head = f"apiVersion: telltale.dev/v1alpha1\nkind: SequenceRule\nmetadata: {{name: {name}}}\n"
    steps = f"[{{name: fast, when: speed > {limit}}}, {{name: slow, when: speed < 10}}]"
    return f"{head}spec: {{within: 1m, steps: {steps}, severity: {severity}}}\n"


def loaded(*texts: str) -> Loaded:
    found = parse([Source("rules.yaml", "---\n".join([CATALOG, *texts]))])
    assert not found.errors, [each.format() for each in found.errors]
    return found


def change(revisions: Revisions, new: Loaded) -> Change:
    return propose(revisions, new, author="ann", message="why", at="2026-01-01T00:00:00.000Z")


def apply(revisions: Revisions, new: Loaded) -> Change:
    made = change(revisions, new)
    write(revisions, made)
    return made


def write(revisions: Revisions, made: Change) -> None:
    for key, value in made.records(revisions):
        revisions.take(key, value)


def test_what_was_applied_is_what_is_read() -> None:
    revisions = Revisions()
    new = loaded(alert("fast"), sequence("stops", 100))
    made = apply(revisions, new)
    assert revisions.head == 1
    assert [f"{it.kind}/{it.name}" for it in made.added] == [
        "AlertRule/fast",
        "SequenceRule/stops",
        "SignalCatalog/default",
    ]
    assert fingerprint(revisions.loaded(1)) == fingerprint(new) == made.manifest.fingerprint
    rules = revisions.rule_set(1)
    assert ([it.name for it in rules.rules], rules.revision) == (["fast"], 1)


def test_applying_the_same_again_changes_nothing() -> None:
    revisions = Revisions()
    apply(revisions, loaded(alert("fast")))
    assert change(revisions, loaded(alert("fast"))).is_empty


def test_a_rule_test_is_no_part_of_what_runs() -> None:
    revisions = Revisions()
    test = (
        "apiVersion: telltale.dev/v1alpha1\nkind: RuleTest\nmetadata: {name: t}\n"
        "spec: {rules: [fast], vehicles: {v1: {speed: 130}}, expect: [{at: 0s, state: firing}]}\n"
    )
    made = apply(revisions, loaded(alert("fast"), test))
    assert {it.kind for it in made.manifest.documents} == {"AlertRule", "SignalCatalog"}


def test_state_goes_on_unless_what_it_means_is_edited() -> None:
    revisions = Revisions()
    apply(revisions, loaded(alert("fast"), alert("other"), sequence("stops", 100)))
    made = apply(
        revisions, loaded(alert("fast", "speed > 130", ", for: 10s"), sequence("stops", 100, "critical"))
    )
    assert [entry.name for _, entry in made.edited] == ["fast", "stops"]
    assert [entry.name for entry in made.removed] == ["other"]
    assert made.restarted == ()
    assert made.manifest.lineages == {"fast": 1, "stops": 1}
    made = apply(revisions, loaded(alert("fast"), alert("other"), sequence("stops", 90)))
    assert made.restarted == ("stops",)
    assert made.manifest.lineages == {"fast": 1, "other": 3, "stops": 3}
    rules = revisions.rule_set(3)
    assert {it.name: it.lineage for it in (*rules.rules, *rules.sequences)} == made.manifest.lineages


SEQUENCE = "within: 1m, steps: [{name: a, when: speed > 9}, {name: b, when: speed < 5}]"
FIGURES = "window: {tumbling: 10s}, aggregates: {top: max(speed)}"


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("SequenceRule", SEQUENCE, SEQUENCE.replace("speed > 9", "speed > 8")),
        ("SequenceRule", SEQUENCE, SEQUENCE.replace("within: 1m", "within: 2m")),
        ("SequenceRule", SEQUENCE, f"{SEQUENCE}, contiguity: strict"),
        ("SequenceRule", SEQUENCE, f"{SEQUENCE}, skip: toNext"),
        ("SequenceRule", SEQUENCE, f"{SEQUENCE}, mode: shadow"),
        ("AggregationRule", FIGURES, FIGURES.replace("10s", "20s")),
        ("AggregationRule", FIGURES, f"{FIGURES}, groupBy: {{all: '\"fleet\"'}}"),
        ("AggregationRule", FIGURES, FIGURES.replace("max", "min")),
        ("AggregationRule", FIGURES, f"{FIGURES}, where: speed > 1"),
    ],
)
def test_a_rule_begins_anew_with_each_word_that_its_state_refers_to(
    kind: str, before: str, after: str
) -> None:
    def rule(spec: str, more: str = "") -> str:
        head = f"apiVersion: telltale.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: it{more}}}\n"
        return f"{head}spec: {{{spec}}}\n"

    revisions = Revisions()
    apply(revisions, loaded(rule(before)))
    assert apply(revisions, loaded(rule(after))).restarted == ("it",)
    made = apply(revisions, loaded(rule(after, ", labels: {team: night}")))
    assert (made.restarted, made.manifest.lineages) == ((), {"it": 2})


def test_a_way_back_is_a_new_revision_with_the_old_documents() -> None:
    revisions = Revisions()
    first = apply(revisions, loaded(alert("fast")))
    apply(revisions, loaded(alert("fast", "speed > 1")))
    back = revert(revisions, 1, author="bob", message="back", at="2026-01-01T00:00:01.000Z")
    write(revisions, back)
    assert revisions.head == 3
    assert revisions.manifest(3).fingerprint == first.manifest.fingerprint
    with pytest.raises(StoreDamaged, match="there is no revision 9; kept: 1 to 3"):
        revert(revisions, 9, author="bob", message="", at="")


def test_documents_that_are_applied_alone_stand_beside_those_that_run() -> None:
    revisions = Revisions()
    apply(revisions, loaded(alert("fast"), alert("other")))
    only = parse([Source("one.yaml", alert("fast", "speed > 99"))])
    made = apply(revisions, parse(merged(only, revisions.sources(1))))
    assert [entry.name for _, entry in made.edited] == ["fast"]
    assert {entry.name for entry in made.manifest.documents} == {"default", "fast", "other"}


def test_old_revisions_go_and_take_the_documents_that_nobody_names() -> None:
    revisions = Revisions()
    for number in range(KEPT + 10):
        apply(revisions, loaded(alert("fast", f"speed > {number}")))
    assert sorted(revisions.manifests) == list(range(11, KEPT + 11))
    assert len(revisions.documents) == KEPT + 1
    assert revisions.loaded(11).errors == ()


HOSTILE = [
    (b"revision/2", b"{}"),
    (b"revision/x", b"{}"),
    (b"revision/3", b"\xff"),
    (b"head", b"7"),
    (b"head", b'{"revision": "many"}'),
    (b"\xff\xfe", b"x"),
    (None, b"x"),
    (b"telltale: aborted", b"x"),
]


def test_a_damaged_topic_is_told_of() -> None:
    revisions = Revisions()
    apply(revisions, loaded(alert("fast")))
    for key, value in HOSTILE:
        revisions.take(key, value)
    assert (revisions.head, sorted(revisions.manifests)) == (1, [1])
    assert len(revisions.unread) == len({key for key, _ in HOSTILE})
    assert revisions.loaded(1).errors == ()
    hashes = [entry.hash for entry in revisions.manifest(1).documents]
    kept = revisions.documents[hashes[0]]
    for value in (b"", b"[]", b"{}", b'{"document": 7}'):
        revisions.take(f"document/{hashes[0]}".encode(), value)
        with pytest.raises(StoreDamaged, match=r"cannot be read|refused"):
            revisions.rule_set(1)
    revisions.take(f"document/{hashes[0]}".encode(), kept)
    gone = next(iter(revisions.documents))
    revisions.take(f"document/{gone}".encode(), None)
    with pytest.raises(StoreDamaged, match="is missing"):
        revisions.loaded(1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_a_change_is_seen_whole_whatever_was_changed_before(seed: int) -> None:
    """A reader that has taken some transactions has a set that was applied, and what it means is kept."""
    dice = random.Random(seed)
    revisions = Revisions()
    log: list[list[tuple[bytes, bytes | None]]] = []
    applied: dict[int, str] = {}
    for _ in range(dice.randint(1, 8)):
        texts = [alert(name, f"speed > {dice.randint(1, 3)}") for name in "abc" if dice.random() < 0.6]
        new = (
            loaded(*texts)
            if dice.random() < 0.8 or not applied
            else revisions.loaded(dice.choice([*applied]))
        )
        made = change(revisions, new)
        if made.is_empty:
            continue
        log.append(made.records(revisions))
        write(revisions, made)
        applied[made.manifest.revision] = fingerprint(new)
    reader = Revisions()
    for number, transaction in enumerate(log, 1):
        for key, value in transaction:
            reader.take(key, value)
        assert reader.head == number
        assert fingerprint(reader.loaded(number)) == applied[number]
        assert all(json.loads(value)["document"] for value in reader.documents.values())
