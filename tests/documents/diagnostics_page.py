"""docs/diagnostics.md is made from the tables of codes, docs/rules.schema.json from the models of documents.

`python -m tests.documents.diagnostics_page` writes both, and tests compare.
"""

import json
from pathlib import Path

from rules.documents import CODES, editor_schema
from rules.language import CODES as LANGUAGE_CODES

SCHEMA = Path(__file__).parents[2] / "docs" / "rules.schema.json"
PAGE = Path(__file__).parents[2] / "docs" / "diagnostics.md"


def rows(first: str) -> str:
    """The rows of a table, for the codes that begin with `first`."""
    every_code = {**CODES, **LANGUAGE_CODES}
    return "\n".join(
        f"| {code} | {title} | {advice} |"
        for code, (title, advice) in sorted(every_code.items())
        if code.startswith(first)
    )


def schema_text() -> str:
    """What `telltale rules schema` prints."""
    return json.dumps(editor_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """The whole page."""
    return f"""\
# What `telltale rules check` says

A finding is one line for the place and the fault, and often a second one with a hint:

```
fleet.yaml:3:9: error[TT101] spec.when: undeclared signal 'Vehicle.Sped'
    hint: did you mean 'Vehicle.Speed'?
```

File, line and column (both from 1, in characters) say where; then comes the path in the document, in the
keys of the YAML, and what is wrong there. All findings of all files come in one run. An error refuses the
whole set, and what ran before keeps running; a warning refuses nothing.

A code keeps its meaning for good. Here is each of them, with what to do. This page is made from the tables of
the program by `python -m tests.documents.diagnostics_page`.

## TT0xx: the text and the document

| code | what is wrong | what to do |
|---|---|---|
{rows("TT0")}

## TT1xx: the expression

| code | what is wrong | what to do |
|---|---|---|
{rows("TT1")}

## TT2xx: the documents together

| code | what is wrong | what to do |
|---|---|---|
{rows("TT2")}

## TT3xx: the tests

| code | what is wrong | what to do |
|---|---|---|
{rows("TT3")}
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")
