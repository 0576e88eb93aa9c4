"""Law: whatever an author writes as a test runs, or is told with its place; no traceback, no run for ever."""

import json
import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import rules
from rules.documents import Expectation, Happening, RuleTestSpec, Source, parse
from rules.documents.yaml_reader import read_yaml
from rules.testing import Suite, suite

LIBRARY = Path(rules.__file__).parent / "library"
SETS = {
    directory: [
        Source(file.name, file.read_text(encoding="utf-8"))
        for file in sorted(directory.glob("*.yaml"))
        if not file.name.endswith(".test.yaml")
    ]
    for directory in (LIBRARY, LIBRARY / "operations")
}
TESTS = [
    (directory, document.plain())
    for directory in SETS
    for file in sorted(directory.glob("*.test.yaml"))
    for document in read_yaml(file.read_text(encoding="utf-8"))[0]
]
SCALARS = [None, True, False, 0, 1, -1, 3.5, 1e300, 10**18, "", "x", "overspeed", "v1", "firing", "resolved"]
INSTANTS = ["30s", "0s", "-5s", "3660d", "-3660d", "T", "2026-01-01T00:00:00+08:00"]
INSTANTS += ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
TRACKS = ["90 135x9 _x3", "0..1x3", "1x999999999", "_", "'a b'x2", "31.2,121.4", "31.2,121.4..1,2x5", "1e99"]
HOLDERS = [[], {}, [1, None, True], {"at": "1s"}, {"speed": 1}, [{}], [{"at": "5s", "state": "firing"}]]
ANYTHING = json.dumps([*SCALARS, *INSTANTS, *TRACKS, *HOLDERS])
KEYS = [*RuleTestSpec.model_fields, *Happening.model_fields, *Expectation.model_fields, "receivedAt", "speed"]


def slipped(document, dice):
    """The document with one value or a few changed, taken out, put elsewhere, or added."""
    document = json.loads(json.dumps(document))
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        holders = [holder for holder in _holders(document["spec"]) if holder]
        holder = dice.choice(holders)
        key = dice.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        match dice.randint(0, 4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[dice.choice(KEYS)] = holder.pop(key)
            case 2 if isinstance(holder, dict):
                holder[dice.choice(KEYS)] = dice.choice(json.loads(ANYTHING))
            case _:
                holder[key] = dice.choice(json.loads(ANYTHING))
    return document


def _holders(value):
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**40))
def test_any_slip_in_a_test_runs_or_is_told(seed):
    dice = random.Random(seed)
    directory, document = dice.choice(TESTS)
    found = suite(parse([*SETS[directory], Source("any.test.yaml", json.dumps(slipped(document, dice)))]))
    if isinstance(found, Suite):
        for verdict in found.run():
            assert all(failure.format() for failure in verdict.failures)
    else:
        assert all(finding.format() for finding in found)
        assert any(finding.severity == "error" and finding.file == "any.test.yaml" for finding in found)
