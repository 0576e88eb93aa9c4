"""What somebody needs who writes rules: a beginning, a check, tests, and a schema for the editor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.process.cli import Json

app = typer.Typer()
rules_app = typer.Typer()


@app.command(short_help="A directory to begin with: a catalog, a rule and its tests.")
def init(
    directory: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
) -> None:
    """Write a signal catalog, one rule and its tests; what is there already is left as it is."""
    from pipeline.starting import start

    started = start(directory)
    for file in started.written:
        print(f"wrote {file}")
    for file in started.kept:
        print(f"kept  {file}")
    print(f"now: telltale rules test {directory}")


@rules_app.command("new", short_help="Begin a rule with a copy of one that ships.")
def new_rule(
    directory: Annotated[Path, typer.Argument(help="Where the rules are.")] = Path(),
    source: Annotated[
        str | None,
        typer.Option("--from", help="The rule to copy; without it, the list of them.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="What the copy is called; default: as it was.", show_default=False),
    ] = None,
) -> None:
    """Copy a rule of the library, and its tests, into a directory. Without --from, list what ships."""
    from pipeline.starting import copy_rule, shipped

    if source is None:
        for rule in shipped():
            print(f"{rule.name:<30}  {rule.sentence}")
        return
    copied = copy_rule(directory, source, name or source)
    for file in copied.written:
        print(f"wrote {file}")
    if copied.missing:
        print("the catalog needs, under spec.signals:")
        for line in copied.missing:
            print(f"    {line}")
    for finding in copied.findings:
        print(finding.format())
    print(f"now: telltale rules test {directory}")


@rules_app.command("schema", short_help="Print the JSON Schema of rule documents, for editors.")
def rules_schema() -> None:
    """Print the JSON Schema of rule documents: completion and errors while you type; see docs/rules.md."""
    import json

    from rules.documents import editor_schema

    print(json.dumps(editor_schema(), indent=2, ensure_ascii=False))


@rules_app.command("check", short_help="Check rule documents: all findings at once.")
def check_rules(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files or directories: one rule set with its catalog.", show_default=False),
    ],
    as_json: Json = False,
) -> None:
    """Check rule documents and their tests: form, types, names, all findings at once.

    Exit code 1 if there is an error, 2 if a path is not there.
    """
    from pipeline.checking import check, report

    checked = check(paths)
    print(report(checked, as_json=as_json))
    if checked.errors:
        raise typer.Exit(1 if _are_there(paths) else 2)


@rules_app.command("test", short_help="Run the tests beside the rules.")
def run_rule_tests(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files or directories: one rule set with its catalog and its tests.", show_default=False
        ),
    ],
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            help="Only tests whose name, or whose rule's, holds this; * and ? work.",
            show_default=False,
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit's XML to this file.", show_default=False)
    ] = None,
    min_coverage: Annotated[
        float | None,
        typer.Option(
            "--min-coverage",
            min=0,
            max=100,
            help="Fail below so many percent of branches.",
            show_default=False,
        ),
    ] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Tell every branch that no test has gone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the RuleTest documents of a rule set, as the stages would run its rules; see docs/testing.md.

    Exit code 0 if all is as expected; 1 if a test failed, coverage is too low, or rules or tests are wrong;
    2 if there is nothing to run.
    """
    from pipeline import testing
    from pipeline.process.failures import ConfigurationError

    tested = testing.run_tests(paths, pattern=run, least=min_coverage)
    print(testing.as_json(tested) if as_json else testing.report(tested, tells_branches=coverage))
    if junit is not None:
        try:
            junit.write_bytes(testing.as_junit(tested))
        except OSError as error:
            raise ConfigurationError(f"--junit {junit}: {error.strerror}") from None
    if tested.exit_code:
        raise typer.Exit(tested.exit_code if _are_there(paths) else 2)


def _are_there(paths: list[Path]) -> bool:
    return all(path.exists() for path in paths)
