"""Any text gives a rule set that runs, or findings with places: soon, in little memory, and no traceback."""

import random
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import Diagnostic, Engine, Event, RuleSet, Source, compile_rules, load, parse
from rules.documents import CODES, Loaded
from rules.language import CODES as LANGUAGE_CODES
from rules.lint import lint
from rules.testing import suite
from tests.documents.mutations import CATALOG, RIGHT, damaged, damaged_text
from tests.engine.rulebook import document

SEEDS = st.integers(0, 2**40)


def read(text: str) -> Loaded:
    beside = [] if "SignalCatalog" in text else [Source("catalog.yaml", CATALOG)]
    return parse([*beside, Source("any.yaml", text)])


def is_told(findings: list[Diagnostic], names: set[str]) -> None:
    assert any(each.severity == "error" for each in findings)
    for each in findings:
        assert each.code in CODES.keys() | LANGUAGE_CODES.keys()
        assert each.file in names
        assert each.line >= 1
        assert each.column >= 1
        message, *hint = each.format().split("\n")
        assert len(hint) <= 1
        assert len(message) < 1500
        assert sum(map(len, hint)) < 1500


def runs(rules: RuleSet, seed: int) -> None:
    """Whatever compiles is ready for telemetry: what goes wrong there is an outcome."""
    choice = random.Random(seed)
    engine = Engine(rules)
    vehicle = engine.new_vehicle("v1")
    assert rules.catalog is not None
    values = {"boolean": lambda: choice.random() < 0.5, "string": lambda: choice.choice(["", "ON", "a"])}
    for second in range(1, 20):
        signals = {
            name: values.get(signal.type, lambda: float(choice.randint(-5, 200)))()
            for name, signal in list(rules.catalog.spec.signals.items())[:50]
            if choice.random() < 0.7
        }
        engine.process(vehicle, Event(second * 1000, second * 1000 + 5, signals), 0, [])
    engine.advance(vehicle, 1_000_000, 1_000_000, [])
    engine.snapshot(vehicle)


def is_right_or_told(loaded: Loaded, seed: int, names: set[str]) -> None:
    compiled = compile_rules(loaded)
    if isinstance(compiled, list):
        is_told(compiled, names)
        return
    lint(loaded)
    runs(compiled, seed)
    tests = suite(loaded)
    if isinstance(tests, list):
        is_told(tests, names)


@settings(max_examples=400, deadline=None)
@given(SEEDS)
def test_a_damaged_document_is_right_or_told(seed: int) -> None:
    started = time.process_time()
    is_right_or_told(read(damaged(seed)), seed, {"any.yaml", "catalog.yaml"})
    assert time.process_time() - started < 5, "a hang, not a measurement"


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_damaged_bytes_are_right_or_told(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    choice = random.Random(seed)
    raw = bytearray(choice.choice(RIGHT).read_bytes())
    for _ in range(choice.choice([1, 3, 20])):
        place = choice.randrange(len(raw))
        match choice.choice(["flip", "cut", "put"]):
            case "flip":
                raw[place] ^= 1 << choice.randrange(8)
            case "cut":
                del raw[place : place + choice.choice([1, 5])]
            case "put":
                raw[place:place] = choice.choice(
                    [b"\0", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
                )
        raw = raw or bytearray(b"x")
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(raw)
    beside = (
        [] if b"SignalCatalog" in raw else [Path(__file__).parents[2] / "rules" / "library" / "catalog.yaml"]
    )
    is_right_or_told(load([*beside, file], tests=True), seed, {str(file), *map(str, beside)})


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_the_order_of_damaged_documents_does_not_matter(seed: int) -> None:
    choice = random.Random(seed)
    texts = [CATALOG, damaged_text(choice, choice.choice(RIGHT).read_text(encoding="utf-8")), damaged(seed)]
    sources = [Source(f"{number}.yaml", text) for number, text in enumerate(texts)]
    forth, back = compile_rules(parse(sources)), compile_rules(parse(sources[::-1]))
    assert isinstance(forth, RuleSet) == isinstance(back, RuleSet)
    if isinstance(forth, RuleSet) and isinstance(back, RuleSet):
        assert forth.fingerprint == back.fingerprint


def definitions(**spec: object) -> str:
    return document("Definitions", "d", spec)


def many(count: int, rule: dict[str, object]) -> str:
    return "\n---\n".join(document("AlertRule", f"r{number}", rule) for number in range(count))


BIG = " && ".join(["speed > 1"] * 400)
DOUBLING = {"a0": "speed > 1", **{f"a{n}": f"a{n - 1} && a{n - 1}" for n in range(1, 200)}}
NESTED = {"a0": "speed > 1", **{f"a{n}": f"!a{n - 1}" for n in range(1, 400)}}
CIRCLE = {f"a{n}": f"a{(n + 1) % 900} && speed > 1" for n in range(900)}
WIDE = {"p": {"parameters": [{"name": "x", "type": "boolean"}], "is": " && ".join(["x"] * 600)}}
HEAVY = {"a0": BIG, **{f"a{n}": f"a0 && a0 && speed > {n}" for n in range(1, 30)}}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(definitions(expressions=DOUBLING), id="definitions-that-double"),
        pytest.param(definitions(expressions=NESTED), id="definitions-in-each-other"),
        pytest.param(definitions(expressions=CIRCLE), id="a-wide-circle"),
        pytest.param(definitions(expressions=HEAVY), id="heavy-definitions"),
        pytest.param(
            definitions(expressions=WIDE) + "\n---\n" + many(1, {"when": "p(p(p(p(speed > 1))))"}),
            id="arguments-that-multiply",
        ),
        pytest.param(
            definitions(expressions={"a": BIG}) + "\n---\n" + many(300, {"when": "a && a"}), id="heavy-uses"
        ),
        pytest.param(
            "a: &a [x, x, x, x, x, x, x, x]\n" + "b: &b [*a, *a, *a, *a]\n" * 1 + "c: " + "[*b, " * 40,
            id="aliases",
        ),
        pytest.param("- " * 200_000, id="dashes"),
        pytest.param("{" * 100_000, id="braces"),
        pytest.param("? " * 100_000, id="keys"),
        pytest.param("&a " * 100_000, id="anchors"),
        pytest.param("a: |\n" + " x\n" * 500_000, id="a-long-text"),
        pytest.param(
            many(1, {"when": "speed > 1", "labels": {f"k{n}": "v" for n in range(50_000)}})[:-40], id="cut"
        ),
        pytest.param(many(1, {"when": "speed > 1", "actions": [{}] * 20_000}), id="empty-actions"),
        pytest.param(
            many(1, {"when": "speed > 1", "severity": [{"critical": "sped"}] * 5_000}), id="many-rungs"
        ),
        pytest.param(many(1, {"when": "s" * 100_000}), id="a-long-word"),
        pytest.param(
            many(1, {"when": "speed > 1", "annotations": {"a": "{{ sped }}" * 20_000}}), id="many-holes"
        ),
        pytest.param(many(1, {f"w{n}": n for n in range(20_000)}), id="unknown-fields"),
        pytest.param(many(1, {"x" * 100_000: {"y" * 100_000: 1}}), id="long-keys"),
        pytest.param(many(1, {"when": "speed > 1", "labels": {"y" * 100_000: 1}}), id="a-long-label"),
    ],
)
def test_what_is_too_much_is_told_soon(text: str) -> None:
    started = time.process_time()
    is_right_or_told(read(text), 1, {"any.yaml"})
    assert time.process_time() - started < 20, "a hang, not a measurement"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(definitions(expressions=DOUBLING), id="definitions-that-double"),
        pytest.param(
            definitions(expressions=WIDE) + "\n---\n" + many(1, {"when": "p(p(p(p(speed > 1))))"}),
            id="arguments-that-multiply",
        ),
        pytest.param(
            "\n".join(f"k{n}: &a{n} [{f'*a{n - 1}, ' * 9 if n else 'x'}]" for n in range(30)), id="aliases"
        ),
        pytest.param("[" * 4_000_000, id="brackets"),
    ],
)
def test_a_small_text_takes_little_memory(text: str) -> None:
    tracemalloc.start()
    try:
        is_right_or_told(read(text), 1, {"any.yaml"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000_000


def test_more_findings_than_anybody_reads_are_not_looked_for() -> None:
    started = time.process_time()
    found = compile_rules(read(many(2_000, {"when": "sped > 1"})))
    assert time.process_time() - started < 60, "a hang, not a measurement"
    assert isinstance(found, list)
    assert len(found) == 1001
    assert [each.code for each in found if each.code != "TT101"] == ["TT249"]
