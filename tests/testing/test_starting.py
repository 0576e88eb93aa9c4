"""`telltale init` and `telltale rules new`: a right beginning, and nothing overwritten."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.process.failures import ConfigurationError
from pipeline.starting import LIBRARY, copy_rule, shipped
from rules import RuleSet, compile_rules, load
from rules.testing import Suite, suite

NAMES = [rule.name for rule in shipped()]


def run(*words: object) -> list[str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_init_writes_a_rule_set_whose_tests_pass(tmp_path: Path) -> None:
    told = run("init", tmp_path / "mine" / "rules")
    assert [line.split("/")[-1] for line in told] == [
        "catalog.yaml",
        "overspeed.yaml",
        "overspeed.test.yaml",
        "rules",
    ]
    found = suite(load([tmp_path / "mine" / "rules"], tests=True))
    assert isinstance(found, Suite)
    assert not any(verdict.failures for verdict in found.run())
    assert found.coverage().percent == 100


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text("mine")
    told = run("init", tmp_path)
    assert (tmp_path / "catalog.yaml").read_text() == "mine"
    assert f"kept  {tmp_path}/catalog.yaml" in told
    run("init", tmp_path)
    assert (tmp_path / "catalog.yaml").read_text() == "mine"


def test_new_without_a_rule_lists_what_ships_with_a_sentence_each() -> None:
    told = run("rules", "new")
    assert [line.split()[0] for line in told] == NAMES
    assert all(line.split(maxsplit=1)[1].startswith("For ") for line in told)


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_that_ships_can_be_copied_under_another_name_with_its_tests(
    tmp_path: Path, name: str
) -> None:
    (directory,) = (rule.file.parent for rule in shipped() if rule.name == name)
    for file in ("catalog.yaml", "depot.yaml", "fences.yaml"):
        if (directory / file).exists():
            (tmp_path / file).write_text((directory / file).read_text())
    copied = copy_rule(tmp_path, name, "my-own")
    assert (copied.missing, copied.findings) == ((), ())
    found = suite(load([tmp_path], tests=True))
    assert isinstance(found, Suite), [finding.format() for finding in found]
    verdicts = list(found.run("my-own-*"))
    assert verdicts
    assert not any(verdict.failures for verdict in verdicts)


def test_what_the_catalog_lacks_is_told_as_lines_for_it(tmp_path: Path) -> None:
    catalog = (
        "apiVersion: telltale.dev/v1alpha1\nkind: SignalCatalog\nmetadata: {name: c}\n"
        "spec:\n  timestamp: {path: ts}\n  signals:\n    Vehicle.Speed: {path: v, alias: speed}\n"
    )
    (tmp_path / "catalog.yaml").write_text(catalog)
    missing = copy_rule(tmp_path, "seat-belt-unfastened", "belts").missing
    assert [line.split(":")[0] for line in missing] == ["Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted"]
    told = run("rules", "new", tmp_path, "--from", "idling")
    assert "the catalog needs, under spec.signals:" in told
    lines = [f"    {line.strip()}\n" for line in (*missing, *told) if line.strip().startswith("Vehicle.")]
    (tmp_path / "catalog.yaml").write_text(catalog + "".join(lines))
    assert isinstance(compile_rules(load([tmp_path])), RuleSet)


def test_what_else_the_copy_lacks_is_told(tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text((LIBRARY / "operations" / "catalog.yaml").read_text())
    told = run("rules", "new", tmp_path, "--from", "long-stop")
    assert any(line.startswith(f"{tmp_path}/long-stop.yaml:") and "TT210" in line for line in told)
    (tmp_path / "catalog.yaml").write_text((LIBRARY / "catalog.yaml").read_text())
    told = run("rules", "new", tmp_path, "--from", "depot-visits")
    assert any("no fence of this set has these labels" in line for line in told)


@pytest.mark.parametrize(
    ("source", "name", "told"),
    [
        pytest.param("overspede", "x", "did you mean 'overspeed'?", id="unknown"),
        pytest.param("overspeed", "Too Fast", "lower-case letters", id="name"),
        pytest.param("overspeed", "overspeed", "is there already", id="file"),
        pytest.param("idling", "other", "has a rule of the name other", id="rule"),
    ],
)
def test_what_cannot_be_copied_is_told_and_nothing_is_written(
    tmp_path: Path, source: str, name: str, told: str
) -> None:
    run("init", tmp_path)
    other = (LIBRARY / "overspeed.yaml").read_text().replace("overspeed", "other")
    (tmp_path / "several.yaml").write_text(other)
    before = sorted(file.name for file in tmp_path.iterdir())
    with pytest.raises(ConfigurationError, match=told.replace("?", "[?]")):
        copy_rule(tmp_path, source, name)
    assert sorted(file.name for file in tmp_path.iterdir()) == before


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file/rules"):
        copy_rule(tmp_path / "file" / "rules", "overspeed", "x")
