"""Candidates: begun, changed, promoted and taken back, and a model that only knows what state is of what."""

import random
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.process.failures import ConfigurationError
from pipeline.store import KEPT, Change, Manifest, Revisions, promote, propose, revert
from rules import Loaded
from rules.compile import fingerprint
from tests.store.test_revisions import alert, apply, change, loaded, sequence, write

AT = "2026-01-01T00:00:00.000Z"


def rollout(percent: float = 10, name: str = "rollout") -> str:
    head = f"apiVersion: telltale.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{percent: {percent}}}\n"


def take_back(revisions: Revisions, to: int) -> Change:
    made = revert(revisions, to, author="ann", message="", at=AT)
    write(revisions, made)
    return made


def give_to_all(revisions: Revisions) -> Change:
    made = promote(revisions, author="ann", message="", at=AT)
    write(revisions, made)
    return made


def numbers(made: Change) -> tuple[int, int, int]:
    return made.manifest.revision, made.manifest.stable, made.manifest.promoted


def test_a_candidate_stands_beside_the_revision_before_it_until_it_is_promoted() -> None:
    revisions = Revisions()
    assert numbers(apply(revisions, loaded(alert("fast")))) == (1, 0, 0)
    assert numbers(apply(revisions, loaded(alert("fast", "speed > 1"), rollout()))) == (2, 1, 0)
    assert numbers(apply(revisions, loaded(alert("fast", "speed > 1"), rollout(50)))) == (3, 1, 0)
    assert (revisions.candidate, revisions.percent(revisions.manifest(3))) == (3, 50)
    assert numbers(give_to_all(revisions)) == (4, 0, 3)
    assert revisions.candidate == 0
    assert fingerprint(revisions.loaded(4)) == fingerprint(loaded(alert("fast", "speed > 1")))
    assert [revisions.has_won(number) for number in (2, 3)] == [True, True]
    assert revisions.previous() == 1
    assert numbers(apply(revisions, loaded(alert("fast"), rollout()))) == (5, 4, 3)
    assert numbers(take_back(revisions, 4)) == (6, 0, 3)
    assert [revisions.has_won(number) for number in (2, 3, 5)] == [True, True, False]
    assert [revisions.role(it) for it in revisions.manifests.values()] == [
        "plain",
        "candidate",
        "candidate",
        "promoted",
        "candidate",
        "rolledBack",
    ]


def test_a_set_without_a_rollout_ends_one_in_favour_of_the_candidate() -> None:
    revisions = Revisions()
    apply(revisions, loaded(alert("fast")))
    apply(revisions, loaded(alert("fast", "speed > 1"), rollout()))
    assert numbers(apply(revisions, loaded(alert("fast", "speed > 2")))) == (3, 0, 2)


def test_a_rollout_needs_a_revision_beside_it() -> None:
    with pytest.raises(ConfigurationError, match="apply the rules without it first"):
        change(Revisions(), loaded(alert("fast"), rollout()))
    revisions = Revisions()
    apply(revisions, loaded(alert("fast")))
    with pytest.raises(ConfigurationError, match="no rollout runs"):
        promote(revisions, author="ann", message="", at=AT)


def test_what_the_candidate_began_anew_goes_on_when_the_stable_rules_are_back() -> None:
    """Its state was never gone: the stable rules followed. Without a rollout it was dropped."""
    revisions = Revisions()
    apply(revisions, loaded(sequence("stops", 100)))
    made = apply(revisions, loaded(sequence("stops", 90), rollout()))
    assert (made.restarted, made.manifest.lineages) == (("stops",), {"stops": 2})
    made = take_back(revisions, 1)
    assert (made.restarted, made.manifest.lineages) == ((), {"stops": 1})

    apply(revisions, loaded(sequence("stops", 90)))
    made = take_back(revisions, 3)
    assert (made.restarted, made.manifest.lineages) == (("stops",), {"stops": 5})


def test_a_rule_that_goes_into_shadow_or_out_of_it_begins_anew() -> None:
    revisions = Revisions()
    apply(revisions, loaded(alert("fast"), alert("slow")))
    made = apply(revisions, loaded(alert("fast", "speed > 120", ", mode: shadow"), alert("slow")))
    assert made.restarted == ("fast",)
    made = apply(revisions, loaded(alert("fast", "speed > 120", ", mode: active"), alert("slow")))
    assert made.manifest.lineages == {"fast": 3, "slow": 1}
    made = apply(revisions, loaded(alert("fast"), alert("slow")))
    assert (len(made.edited), made.restarted) == (1, ())


def test_a_way_back_never_leads_into_a_rollout() -> None:
    revisions = Revisions()
    assert revisions.previous() == 0
    apply(revisions, loaded(alert("fast")))
    assert revisions.previous() == 0
    apply(revisions, loaded(alert("fast", "speed > 1")))
    apply(revisions, loaded(alert("fast", "speed > 2"), rollout()))
    assert revisions.previous() == 2
    take_back(revisions, 2)
    assert revisions.previous() == 1


def test_the_revision_beside_a_candidate_is_kept_however_long_the_rollout_runs() -> None:
    """And afterwards as long as the candidates are: a checkpoint may still be of one of them."""
    revisions = Revisions()
    apply(revisions, loaded(alert("fast")))
    for number in range(KEPT + 10):
        apply(revisions, loaded(alert("fast", f"speed > {number}"), rollout(number / 100)))
    assert min(revisions.manifests) == 1
    assert revisions.loaded(1).errors == ()
    give_to_all(revisions)
    assert 1 in revisions.manifests
    for number in range(KEPT + 1):
        apply(revisions, loaded(alert("fast", f"speed < {number}")))
    assert sorted(revisions.manifests) == list(range(revisions.head - KEPT + 1, revisions.head + 1))
    assert len(revisions.documents) == KEPT + 1


def test_a_manifest_of_before_there_were_rollouts_is_plain() -> None:
    revisions = Revisions()
    made = apply(revisions, loaded(alert("fast")))
    old = msgspec.to_builtins(made.manifest)
    del old["stable"], old["promoted"]
    assert msgspec.json.decode(msgspec.json.encode(old), type=Manifest) == made.manifest


# The model: what each track's state is of. A rule is a name, a meaning and a text; its state has a birth.


@dataclass
class Model:
    """What state is of: `acting` of all vehicles or of a share of them, `followed` of the rules beside it."""

    acting: dict[str, tuple[int, int]] = field(default_factory=dict)
    followed: dict[str, tuple[int, int]] | None = None
    stable: int = 0
    head: int = 0
    promoted: int = 0
    sets: dict[int, tuple[dict[str, tuple[int, int]], float | None]] = field(default_factory=dict)
    """By revision: rules with meaning and text, and the percentage of its rollout."""
    outcomes: dict[int, bool] = field(default_factory=dict)
    """Of candidates whose rollout is over: whether they won."""
    running: list[int] = field(default_factory=list)

    def step(self, number: int, rules: dict[str, tuple[int, int]], percent: float | None, won: bool) -> None:
        """One revision more; `won` says in whose favour it ends a rollout."""
        if percent is None and self.followed is not None:
            self.acting = self.acting if won else self.followed
            self.followed = None
            self.stable = 0
            self.outcomes |= dict.fromkeys(self.running, won)
            self.promoted = self.head if won else self.promoted
            self.running = []
        elif percent is not None:
            if self.followed is None:
                self.followed, self.stable = self.acting, self.head
            self.running.append(number)
        self.acting = {
            name: self.acting[name]
            if name in self.acting and self.acting[name][0] == meaning
            else (meaning, number)
            for name, (meaning, _) in rules.items()
        }
        self.sets[number] = (rules, percent)
        self.head = number


def documents(rules: dict[str, tuple[int, int]], percent: float | None) -> Loaded:
    severities = ("info", "warning", "critical")
    texts = [sequence(name, 100 + meaning, severities[text]) for name, (meaning, text) in rules.items()]
    return loaded(*texts, *([] if percent is None else [rollout(percent)]))


@given(st.integers(0, 2**32))
def test_state_is_of_what_the_model_says_after_any_sequence_of_changes(seed: int) -> None:
    dice = random.Random(seed)
    revisions, model = Revisions(), Model()
    for _ in range(dice.randint(2, 9)):
        rules = {name: (dice.randint(1, 2), dice.randint(0, 2)) for name in ("a", "b") if dice.random() < 0.8}
        percent: float | None = None
        deed = dice.choice(("apply", "apply", "rollout", "rollout", "promote", "back", "back to"))
        won = True
        if deed == "promote" and revisions.candidate:
            rules = model.sets[model.head][0]
            made = promote(revisions, author="ann", message="", at=AT)
        elif deed in ("back", "back to") and model.sets:
            to = revisions.previous() if deed == "back" else dice.choice([*model.sets])
            if not to:
                continue
            rules, percent = model.sets[to]
            assert deed == "back to" or percent is None
            won = False
            made = revert(revisions, to, author="ann", message="", at=AT)
        else:
            if deed == "rollout" and revisions.head:
                percent = float(dice.randint(0, 3))
            made = propose(revisions, documents(rules, percent), author="ann", message="", at=AT)
        if made.is_empty:
            assert (rules, percent) == model.sets.get(model.head, ({}, None))
            continue
        number = made.manifest.revision
        model.step(number, rules, percent, won)
        write(revisions, made)
        manifest = revisions.manifest(number)
        assert fingerprint(revisions.loaded(number)) == fingerprint(documents(rules, percent))
        assert manifest.lineages == {name: birth for name, (_, birth) in model.acting.items()}
        assert (manifest.stable, manifest.promoted) == (model.stable, model.promoted)
        assert revisions.candidate == (number if percent is not None else 0)
        if model.followed is not None:
            beside = revisions.manifest(manifest.stable)
            assert beside.lineages == {name: birth for name, (_, birth) in model.followed.items()}
            assert beside.stable == 0
        for candidate, outcome in model.outcomes.items():
            assert revisions.has_won(candidate) == outcome
        assert not any(map(revisions.has_won, model.running))
