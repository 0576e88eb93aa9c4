"""Which documents run together: what is wrong is held back, what runs stays, the rest goes on."""

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.resources.documents import Place, written
from k8s.resources.judging import Check, judge
from rules.documents import Parser

CATALOG = Place("SignalCatalog", "default")


def document(kind: str, name: str, spec: Any) -> dict[Place, str]:
    """One document by its place."""
    head = {"apiVersion": "telltale.dev/v1alpha1", "kind": kind, "metadata": {"name": name}}
    return {Place(kind, name): written({**head, "spec": spec})}


def catalog(*signals: str) -> dict[Place, str]:
    """The catalog of a set."""
    paths = {f"Vehicle.{signal.title()}": {"path": signal, "alias": signal} for signal in signals}
    spec = {
        "timestamp": {"path": "ts"},
        "position": {"latitude": "lat", "longitude": "lon"},
        "signals": paths,
    }
    return document("SignalCatalog", "default", spec)


def rule(name: str, when: str) -> dict[Place, str]:
    """An alert rule."""
    return document("AlertRule", name, {"when": when})


def fence(name: str) -> dict[Place, str]:
    """A fence."""
    return document("Geofence", name, {"circle": {"latitude": 1.0, "longitude": 2.0, "radiusMeters": 100}})


def places(*texts: str) -> set[Place]:
    """Places as they are written."""
    return {Place.of(text) for text in texts}


def test_a_right_set_is_taken_whole():
    asked = catalog("speed") | rule("fast", "speed > 100")
    judged = judge({}, asked)
    assert judged.texts == asked
    assert not judged.held
    assert {placed.document.metadata.name for placed in judged.loaded.documents} == {"default", "fast"}


def test_a_wrong_new_rule_is_left_out_and_all_others_go_on():
    asked = catalog("speed") | rule("fast", "speed > 100") | rule("wrong", "sped > 100")
    judged = judge({}, asked)
    assert judged.held.keys() == places("AlertRule/wrong")
    (found,) = judged.held[Place("AlertRule", "wrong")]
    assert (found.code, found.path, found.hint) == ("TT101", "spec.when", "did you mean 'speed'?")
    assert judged.texts.keys() == places("SignalCatalog/default", "AlertRule/fast")


def test_the_version_that_runs_stays_when_the_next_one_is_wrong():
    running = catalog("speed") | rule("fast", "speed > 100")
    judged = judge(running, running | rule("fast", "sped > 90") | rule("slow", "speed < 5"))
    assert judged.held.keys() == places("AlertRule/fast")
    assert judged.texts == running | rule("slow", "speed < 5")


def test_a_definition_that_is_wrong_takes_its_new_users_with_it_and_no_others():
    words = document("Definitions", "words", {"expressions": {"brisk": "sped > 80"}})
    asked = catalog("speed") | words | rule("user", "brisk") | rule("fast", "speed > 100")
    judged = judge({}, asked)
    assert judged.held.keys() == places("Definitions/words", "AlertRule/user")
    assert judged.texts.keys() == places("SignalCatalog/default", "AlertRule/fast")


@pytest.mark.parametrize(
    ("gone", "kept"),
    [
        pytest.param(fence("depot"), rule("home", 'inside("depot")'), id="a fence"),
        pytest.param(
            document("Definitions", "words", {"expressions": {"brisk": "speed > 80"}}),
            rule("user", "brisk"),
            id="a definition",
        ),
        pytest.param(
            document("AlertRule", "fast", {"parameters": {"limit": {"default": 9}}, "when": "speed > limit"}),
            document("Adaptation", "faster", {"rule": "fast", "parameters": {"limit": 60}}),
            id="an adapted rule",
        ),
    ],
)
def test_what_is_deleted_while_it_is_needed_stays_until_it_is_not(gone, kept):
    running = catalog("speed") | gone | kept | rule("other", "speed > 1")
    (place,), (user,) = gone, kept
    asked = catalog("speed") | kept | rule("other", "speed > 2")
    judged = judge(running, asked)
    assert judged.held.keys() == {place}
    assert str(user) in judged.held[place][0].message
    assert judged.texts == asked | gone
    later = judge(judged.texts, catalog("speed") | rule("other", "speed > 2"))
    assert not later.held
    assert later.texts.keys() == places("SignalCatalog/default", "AlertRule/other")


def test_a_catalog_without_a_signal_that_a_rule_reads_is_held_back_and_the_rest_of_the_change_is_not():
    running = catalog("speed", "belt") | rule("fast", "speed > 100") | rule("loose", "belt > 0")
    judged = judge(running, catalog("belt", "door") | rule("fast", "speed > 90") | rule("loose", "belt > 1"))
    assert judged.held.keys() == {CATALOG}
    assert "AlertRule/fast would be wrong with this change" in judged.held[CATALOG][0].message
    assert judged.texts == catalog("speed", "belt") | rule("fast", "speed > 90") | rule("loose", "belt > 1")


def test_a_catalog_and_the_rules_that_need_it_change_together():
    running = catalog("speed") | rule("fast", "speed > 100")
    asked = catalog("pace") | rule("fast", "pace > 100")
    judged = judge(running, asked)
    assert not judged.held
    assert judged.texts == asked


def test_of_several_deletions_only_those_are_held_back_that_somebody_needs():
    fences = {name: fence(name) for name in ("a", "b", "c", "d", "e")}
    running = catalog("speed") | rule("home", 'inside("b") || inside("d")')
    asked = dict(running)
    for each in fences.values():
        running |= each
    judged = judge(running, asked)
    assert judged.held.keys() == places("Geofence/b", "Geofence/d")
    assert judged.texts == asked | fences["b"] | fences["d"]


def test_the_last_catalog_stays():
    running = catalog("speed") | rule("fast", "speed > 1")
    judged = judge(running, {})
    assert judged.texts == catalog("speed")
    assert judged.held.keys() == {CATALOG}


def test_nothing_runs_without_a_catalog():
    judged = judge({}, rule("fast", "speed > 1"))
    assert judged.lacks_catalog
    assert not judge({}, rule("fast", "speed > 1") | catalog("speed")).lacks_catalog


def test_a_document_of_others_that_this_version_refuses_blocks_and_is_named():
    other = rule("theirs", "no_such_thing > 1")
    running = catalog("speed") | other
    judged = judge(running, running | rule("fast", "speed > 1"), [Place("AlertRule", "theirs")])
    assert judged.blocked.keys() == other.keys()


def test_a_document_of_ours_that_this_version_refuses_is_taken_out():
    running = catalog("speed") | rule("old", "no_such_thing > 1")
    judged = judge(running, running | rule("fast", "speed > 1"))
    assert judged.held.keys() == places("AlertRule/old")
    assert judged.texts == catalog("speed") | rule("fast", "speed > 1")


def test_a_tangle_of_one_tenant_ends_and_holds_up_no_other():
    chain = {}
    for number in range(30):
        text = f"word{number + 1} || speed > 1" if number < 29 else "sped > 1"
        chain |= document("Definitions", f"acme.w{number:02}", {"expressions": {f"word{number}": text}})
        chain |= rule(f"acme.r{number:02}", f"word{number}")
    asked = catalog("speed") | chain | rule("umbra.fast", "speed > 1") | rule("everywhere", "speed > 2")
    judged = judge({}, asked)
    assert judged.texts == catalog("speed") | rule("umbra.fast", "speed > 1") | rule(
        "everywhere", "speed > 2"
    )
    assert judged.held.keys() == chain.keys()


def test_more_wrong_rules_than_findings_are_told_of_are_held_back_one_and_all():
    wrong = {}
    for number in range(1_200):
        wrong |= rule(f"wrong-{number}", f"sped > {number}")
    judged = judge({}, catalog("speed") | wrong | rule("fast", "speed > 1"))
    assert judged.held.keys() == wrong.keys()
    assert judged.texts == catalog("speed") | rule("fast", "speed > 1")


POOL = [
    catalog("speed"),
    catalog("speed", "belt"),
    fence("depot"),
    document("Definitions", "words", {"expressions": {"brisk": "speed > 80"}}),
    document("Definitions", "words", {"expressions": {"brisk": "belt > 80"}}),
    rule("fast", "speed > 1"),
    rule("fast", "brisk"),
    rule("loose", "belt > 1"),
    rule("home", 'inside("depot")'),
    rule("bad", "speed >"),
]
SETS = st.lists(st.sampled_from(POOL), max_size=7).map(
    lambda found: {k: v for each in found for k, v in each.items()}
)


@given(st.lists(SETS, min_size=1, max_size=4))
def test_whatever_is_asked_for_in_turn_what_runs_is_right_and_nothing_right_is_left_out(turns):
    running: dict[Place, str] = {}
    before, parser, check = None, Parser(), Check()
    for asked in turns:
        judged = judge(running, asked, before=before, parse=parser.parse)
        fresh = judge(running, asked)
        assert (judged.texts, judged.held, judged.warnings) == (fresh.texts, fresh.held, fresh.warnings)
        before = judged if judged.is_clean else None
        if judged.lacks_catalog:
            continue
        assert not check(judged.texts)[1]
        for place in {*asked, *running} - judged.held.keys():
            assert judged.texts.get(place) == asked.get(place)
        for place in judged.held:
            assert judged.texts.get(place) == running.get(place)
        for place in judged.held:
            alone = {key: text for key, text in judged.texts.items() if key != place}
            with_it = alone | ({place: asked[place]} if place in asked else {})
            if place == CATALOG and place not in asked:
                continue  # the last one stays
            assert check(with_it)[1], f"{place} was held back for nothing"
        running = judged.texts


def test_the_order_of_documents_makes_no_difference():
    running = catalog("speed", "belt") | rule("fast", "speed > 1") | fence("depot")
    changes = [
        catalog("belt"),
        rule("home", 'inside("depot")'),
        rule("fast", "speed > 2"),
        rule("bad", "nothing > 1"),
    ]
    outcomes = set()
    for order in permutations(changes):
        asked = {place: text for each in order for place, text in each.items()}
        judged = judge(running, asked)
        outcomes.add(json.dumps([sorted(judged.texts.items()), sorted(map(str, judged.held))]))
    assert len(outcomes) == 1
