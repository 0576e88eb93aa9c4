"""tests/conformance/sequences.yaml, case by case, through documents, compiler and engine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules import AlertRecord, Engine, Event, Outcome, RuleSet, Source, compile_rules, parse

CASES = Path(__file__).parents[1] / "conformance" / "sequences.yaml"
STEP = re.compile(r"(!?)([a-z]+)(?:\{(\d+)(?:,(\d+))?\})?(?:/(\d+))?\Z")


def cases() -> list[Any]:
    sections = yaml.safe_load(CASES.read_text())
    return [
        pytest.param(case, id=f"{section['section']}: {case['case']}")
        for section in sections
        for case in section["cases"]
    ]


@pytest.mark.parametrize("case", cases())
def test_conformance(case: dict[str, Any]) -> None:
    engine = Engine(rule_set(case), quiet_after_ms=0)
    vehicle = engine.new_vehicle("v1")
    out: list[Outcome] = []
    said: list[tuple[int, str]] = []
    second = 0
    for word in case["messages"].split():
        if word == "=":
            second -= 1
            continue
        if word != "-":
            said.append((second * 1000, word))
            event = Event(second * 1000, second * 1000, {"letter": word[0]})
            engine.process(vehicle, event, 0, out)
        second += 1
    if "wait" in case:
        engine.advance(vehicle, case["wait"] * 1000, 0, out)
    records = [record for record in out if isinstance(record, AlertRecord)]
    assert len(records) == len(out)
    firing = [record for record in records if record.state == "firing"]
    assert [told(record, said) for record in firing] == [expected(line) for line in case["matches"]]
    for fired, resolved in zip(firing, records[1::2], strict=True):
        assert (resolved.id, resolved.state, resolved.reason) == (fired.id, "resolved", "cleared")
        assert resolved.ends_at == resolved.fired_at == fired.fired_at
    assert len({record.record_id for record in records}) == len(records)


def told(record: AlertRecord, said: list[tuple[int, str]]) -> tuple[Any, ...]:
    """Whether it matched, the first and the last message of each step, and when if no message ended it."""
    assert record.sequence is not None
    steps = [(name[0], first, last) for name, first, last in record.sequence.steps]
    assert record.starts_at == steps[0][1]
    ends_with_message = record.fired_at == steps[-1][2]
    words = dict(said) if len(dict(said)) == len(said) else {}
    ends = [(words.get(first, "?"), words.get(last, "?")) for _, first, last in steps]
    if not words:  # several messages at one instant
        ends = [(name, name) for name, _, _ in steps]
    at = None if ends_with_message else record.fired_at // 1000
    return record.sequence.is_match, ends, at


def expected(line: str) -> tuple[Any, ...]:
    words = line.split()
    is_match = words[0] != "timeout"
    words = words if is_match else words[1:]
    at = int(words.pop()[1:]) if words[-1].startswith("@") else None
    ends: list[tuple[str, str]] = []
    is_other = False
    for word in words:
        if word == "|":
            is_other = True
            continue
        if not is_other and ends and ends[-1][0][0] == word[0] and len(word) > 1:
            ends[-1] = ends[-1][0], word
        else:
            ends.append((word, word))
        is_other = False
    return is_match, ends, at


def rule_set(case: dict[str, Any]) -> RuleSet:
    spec: dict[str, Any] = {
        "within": case.get("within", "1m"),
        "steps": [step(text) for text in case["steps"].split()],
    }
    spec |= {key: case[key] for key in ("contiguity", "skip", "cooldown") if key in case}
    if case.get("timeouts"):
        spec["onTimeout"] = {"severity": "info"}
    catalog = {"timestamp": {"path": "ts"}, "signals": {"letter": {"type": "string"}}}
    documents = [
        {"apiVersion": "telltale.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": each}
        for kind, each in (("SignalCatalog", catalog), ("SequenceRule", spec))
    ]
    text = "\n---\n".join(json.dumps(document) for document in documents)
    compiled = compile_rules(parse([Source("case.yaml", text)]))
    assert isinstance(compiled, RuleSet), "\n".join(finding.format() for finding in compiled)
    return compiled


def step(text: str) -> dict[str, Any]:
    found = STEP.match(text)
    assert found, text
    negated, letters, least, most, seconds = found.groups()
    condition = f"letter in {list(letters)}".replace("'", '"')
    if negated:
        return {"name": letters, "not": condition} | ({"for": f"{seconds}s"} if seconds else {})
    times: object = (
        1 if least is None else int(least) if most is None else {"min": int(least), "max": int(most)}
    )
    name = letters if len(letters) == 1 else letters[::-1]
    return {"name": name, "when": condition, "times": times} | ({"within": f"{seconds}s"} if seconds else {})
