"""docs/aggregations.md is held to the program: every field, every function, every example."""

import re
from pathlib import Path

from rules import RuleSet, compile_rules
from rules.compile.aggregation_rules import _TAKES
from rules.documents import Source, aggregation_rule, parse
from rules.engine.aggregation.accumulators import ACCUMULATORS
from tests.documents.test_docs import fields_in, fields_of, models

PAGE = (Path(__file__).parents[2] / "docs" / "aggregations.md").read_text(encoding="utf-8")


def test_every_field_has_a_row_and_every_row_a_field():
    inner = [model for model in models(aggregation_rule) if model.__name__ != "AggregationRule"]
    assert fields_in(PAGE) == set().union(*map(fields_of, inner))


def test_every_function_has_a_row():
    rows = re.findall(r"^\| (`.*?) \|", PAGE.split("| call |")[1], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)\(", row)} == ACCUMULATORS.keys()
    assert _TAKES.keys() == ACCUMULATORS.keys()


def test_the_examples_compile():
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    rules = compile_rules(parse([Source("page.yaml", "---\n".join(examples))]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    assert rules.warnings == ()
    assert len(rules.aggregations) == 3
