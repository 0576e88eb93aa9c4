"""`telltale rules test`: exit codes, JUnit's XML, JSON, and what people read."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from tests.testing.rulebook import CATALOG, FAST

RIGHT = """apiVersion: telltale.dev/v1alpha1
kind: RuleTest
metadata: {name: holds-five-seconds}
spec:
  vehicles: {v1: {speed: 90 140x6 160 90}}
  expect: [{at: 6s, state: firing}, {at: 8s, state: inactive}]
"""
WRONG = RIGHT.replace("holds-five-seconds", "holds-for-ever").replace("at: 6s", "at: 5s")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    (tmp_path / "fast.yaml").write_text(FAST)
    (tmp_path / "fast.test.yaml").write_text(f"{RIGHT}---\n{WRONG}")
    return tmp_path


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["rules", "test", *map(str, words)])
    return done.exit_code, done.stdout


def test_a_failed_test_is_told_and_ends_with_one(rules: Path) -> None:
    code, told = run(rules)
    assert code == 1
    assert told.splitlines() == [
        "ok    holds-five-seconds",
        "FAIL  holds-for-ever",
        f"      {rules}/fast.test.yaml:13:21: spec.expect[0].state: at 5s, fast for v1 was expected to be "
        "firing, and was pending since 1s",
        "          its alert: startsAt 1s, firedAt 6s, endsAt 8s, severity critical, reason cleared",
        "2 tests: 1 ok, 1 failed",
        "coverage: 4 of 4 branches of conditions, 100 %",
    ]


def test_run_chooses_tests_by_a_part_of_their_name_or_their_rules(rules: Path) -> None:
    code, told = run(rules, "--run", "five")
    assert code == 0
    assert "1 test: 1 ok, 0 failed" in told
    assert run(rules, "--run", "holds-*")[0] == 1
    code, told = run(rules, "--run", "nothing")
    assert (code, told) == (2, "no test is there: a RuleTest document, in *.test.yaml, whose name fits\n")


def test_coverage_below_what_is_asked_for_ends_with_one_and_tells_what_is_missing(rules: Path) -> None:
    (rules / "slow.yaml").write_text(FAST.replace("name: fast", "name: slow").replace("> 130", "< 5"))
    (rules / "fast.test.yaml").write_text(RIGHT.replace("spec:", "spec:\n  rules: [fast]"))
    code, told = run(rules, "--min-coverage", "50")
    assert code == 0
    assert told.endswith(
        "rules without a test: slow\n1 test: 1 ok, 0 failed\ncoverage: 4 of 8 branches of conditions, 50 %\n"
    )
    code, told = run(rules, "--min-coverage", "60")
    assert code == 1
    assert told.endswith("50 %, 60 % were asked for\n")
    (rules / "fast.test.yaml").write_text(
        RIGHT.replace("spec:", "spec:\n  rules: [fast]").replace(" 160", "")
    )
    _, told = run(rules, "--coverage")
    assert f"{rules}/fast.yaml:8:25: spec.severity[0].critical: `speed > 150` was never true\n" in told


def test_junit_holds_a_case_for_each_test_and_a_failure_for_each_difference(rules: Path) -> None:
    file = rules / "junit.xml"
    assert run(rules, "--junit", file)[0] == 1
    root = ElementTree.parse(file).getroot()
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert [(case.get("name"), len(case)) for case in root.iter("testcase")] == [
        ("holds-five-seconds", 0),
        ("holds-for-ever", 1),
    ]
    (failure,) = root.iter("failure")
    assert "expected to be firing" in failure.get("message", "")
    assert f"{rules}/fast.test.yaml:13:21" in (failure.text or "")
    done = CliRunner().invoke(app, ["rules", "test", str(rules), "--junit", str(rules / "no" / "where.xml")])
    assert done.exit_code != 0


def test_json_tells_all_of_it(rules: Path) -> None:
    code, told = run(rules, "--json")
    assert code == 1
    tree = json.loads(told)
    assert [(test["name"], test["failed"]) for test in tree["tests"]] == [
        ("holds-five-seconds", False),
        ("holds-for-ever", True),
    ]
    assert tree["failed"] == 1
    assert tree["tests"][1]["failures"][0]["line"] == 13
    assert [
        (it["text"], it["true"], it["false"], it["unknown"]) for it in tree["coverage"]["conditions"]
    ] == [
        ("speed > 130", True, True, False),
        ("speed > 150", True, True, False),
    ]


def test_wrong_rules_and_wrong_tests_run_nothing_and_end_with_one(rules: Path) -> None:
    (rules / "fast.yaml").write_text(FAST.replace("speed > 130", "sped > 130"))
    (rules / "fast.test.yaml").write_text(RIGHT.replace("speed: 90", "speed: 90+1x5"))
    code, told = run(rules, "--junit", rules / "junit.xml")
    assert code == 1
    assert "fast.yaml:6:9: error[TT101]" in told
    assert "fast.test.yaml:5:26: error[TT301]" in told
    assert told.endswith("nothing ran: 3 errors\n")
    assert "error" in [element.tag for element in ElementTree.parse(rules / "junit.xml").iter()]


def test_a_path_that_is_not_there_is_wrong_usage(rules: Path) -> None:
    assert run(rules / "none")[0] == 2


def test_no_stage_reads_a_test_file(rules: Path) -> None:
    """A fault in a test must not stop what runs."""
    from rules import RuleSet, compile_rules, load

    (rules / "fast.test.yaml").write_text("kind: [")
    assert isinstance(compile_rules(load([rules])), RuleSet)
    assert load([rules], tests=True).errors
    assert load([rules / "fast.test.yaml"]).errors, "a file that is named is read"
