"""The command line as a stranger meets it: the console script, in a directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.commands import Here

TELLTALE = Path(sys.executable).parent / "telltale"
HEAVY = (
    "pydantic",
    "structlog",
    "aiohttp",
    "aiokafka",
    "faust",
    "paho",
    "cel_expr_python",
    "prometheus_client",
    "rules",
)


def telltale(*words: str | Path, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")}
    return subprocess.run(
        [TELLTALE, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env=environment | {"NO_COLOR": "1"} | variables,
        timeout=120,
    )


def distribution(directory: Path, name: str, entry_points: str) -> Path:
    """A foreign package as pip would leave it, in a directory for PYTHONPATH."""
    info = directory / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    return directory


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    directory = distribution(
        tmp_path / "site",
        "broken",
        "[telltale.commands]\nbroken = broken_commands:app\n"
        "[telltale.processes]\nbroken = broken_commands:process\n",
    )
    (directory / "broken_commands.py").write_text("import a_module_that_nobody_has\n")
    return directory


def test_help_names_every_command_and_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pipeline.process import cli\nsys.argv = ['telltale', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    *page, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    words = "\n".join(page)
    for command in ("run", "settings", "version", "schema", "tail", "topics", "rules", "simulate", "demo"):
        assert f"  {command} " in words
    assert done.stderr == ""


def test_without_a_command_the_help_is_shown(here: Here) -> None:
    done = here()
    assert "Commands:" in done.stdout + done.stderr


def test_an_unknown_command_is_told_with_advice(here: Here) -> None:
    done = here("tial")
    assert done.returncode == 2
    assert "No such command 'tial'" in done.stderr


def test_an_unknown_process_is_told_with_advice(here: Here) -> None:
    done = here("run", "alert")
    assert (done.returncode, done.stderr) == (
        2,
        "telltale: no process is called 'alert'; did you mean alerts?\n",
    )
    done = here("run", "zzz")
    assert done.stderr == (
        "telltale: no process is called 'zzz'; there are: aggregations, alerts, downlink, geofences, "
        "normalize, operator, uplink\n"
    )


def test_a_package_that_cannot_be_imported_costs_its_own_commands_only(tmp_path: Path, broken: Path) -> None:
    done = telltale("version", directory=tmp_path, PYTHONPATH=str(broken))
    assert done.returncode == 0
    assert done.stdout.startswith("telltale ")
    assert done.stderr == (
        "telltale: the commands of broken (broken_commands:app) cannot be imported:"
        " ModuleNotFoundError: No module named 'a_module_that_nobody_has'\n"
    )


def test_a_process_that_cannot_be_imported_costs_itself_only(tmp_path: Path, broken: Path) -> None:
    done = telltale("run", "broken", directory=tmp_path, PYTHONPATH=str(broken))
    assert done.returncode == 1
    assert "telltale: broken (broken_commands:process) cannot be imported: ModuleNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr
    done = telltale("settings", directory=tmp_path, PYTHONPATH=str(broken))
    assert done.returncode == 0
    assert "kafka.bootstrap" in done.stdout
    assert "warning: the settings of broken (broken_commands:process) cannot be imported" in done.stderr


def test_an_entry_point_that_names_something_else_is_told(tmp_path: Path) -> None:
    directory = distribution(
        tmp_path / "site",
        "odd",
        "[telltale.commands]\nodd = json:dumps\n[telltale.processes]\nodd = json:dumps\n",
    )
    done = telltale("run", "odd", directory=tmp_path, PYTHONPATH=str(directory))
    assert done.returncode == 1
    assert "telltale: the commands of odd (json:dumps) cannot be used: it is no Typer app" in done.stderr
    assert "telltale: odd (json:dumps) cannot be used: it is no Process" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_packages_with_one_command_are_told(tmp_path: Path) -> None:
    directory = distribution(tmp_path / "site", "twice", "[telltale.commands]\ntwice = twice:app\n")
    (directory / "twice.py").write_text(
        "import typer\napp = typer.Typer()\n\n@app.command()\ndef version() -> None:\n    print('mine')\n"
        "\n@app.command()\ndef other() -> None:\n    print('other')\n"
    )
    done = telltale("version", directory=tmp_path, PYTHONPATH=str(directory))
    assert done.stdout.startswith("telltale ")
    assert (
        done.stderr
        == "telltale: the commands of twice (twice:app) cannot be used: version is there already\n"
    )


def test_settings_show_value_source_and_meaning_but_no_secret(tmp_path: Path, here: Here) -> None:
    (tmp_path / "t.yaml").write_text("kafka:\n  saslPassword: hush\npartitions: 8\n")
    done = here("settings", "alerts", "-c", "t.yaml", TELLTALE_PREFIX="demo.")
    assert done.returncode == 0
    rows = {line.split()[0]: line.split()[1:3] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert rows["partitions"] == ["8", "t.yaml:3"]
    assert rows["prefix"] == ["demo.", "TELLTALE_PREFIX"]
    assert rows["kafka.saslPassword"] == ["********", "t.yaml:2"]
    assert rows["httpPort"] == ["8080", "default"]
    assert "hush" not in done.stdout + done.stderr


def test_settings_are_told_for_programs(here: Here) -> None:
    done = here("settings", "--json", TELLTALE_KAFKA_SASL_PASSWORD="hush")
    rows = {row["key"]: row for row in json.loads(done.stdout)}
    assert rows["kafka.saslPassword"]["value"] == "********"
    assert rows["kafka.bootstrap"]["processes"] == [
        "aggregations",
        "alerts",
        "downlink",
        "geofences",
        "normalize",
        "operator",
        "uplink",
    ]
    assert rows["drainTimeout"] == {
        "key": "drainTimeout",
        "variable": "TELLTALE_DRAIN_TIMEOUT",
        "value": "25s",
        "source": "default",
        "meaning": "how long SIGTERM leaves to finish what is in flight",
        "processes": ["aggregations", "alerts", "downlink", "geofences", "normalize", "operator", "uplink"],
    }


def test_wrong_settings_are_shown_and_told_once_for_all_processes(here: Here) -> None:
    done = here("settings", TELLTALE_HTTP_PORT="x", TELLTALE_PARTITIONS="0")
    assert done.returncode == 2
    assert "httpPort" in done.stdout
    assert done.stderr.splitlines()[0] == "telltale: 2 settings are wrong:"
    assert len(done.stderr.splitlines()) == 3


@pytest.mark.parametrize(
    "name", ["aggregations", "alerts", "downlink", "geofences", "normalize", "operator", "uplink"]
)
def test_every_process_tells_wrong_settings_and_ends_with_two(here: Here, name: str) -> None:
    done = here("run", name, TELLTALE_HTTP_PORT="x", TELLTALE_PARTITIONS="0")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"telltale {name}: 2 settings are wrong:",
        "  partitions: '0' should be greater than or equal to 1 (from TELLTALE_PARTITIONS)",
        "  httpPort: 'x' should be a valid integer, unable to parse string as an integer"
        " (from TELLTALE_HTTP_PORT)",
    ]


@pytest.mark.parametrize("name", ["aggregations", "alerts", "downlink", "geofences", "normalize", "uplink"])
def test_every_process_ends_with_three_when_kafka_does_not_come(tmp_path: Path, name: str) -> None:
    done = telltale(
        "run",
        name,
        directory=tmp_path,
        TELLTALE_HTTP_PORT="0",
        TELLTALE_START_TIMEOUT="300ms",
        TELLTALE_KAFKA_BOOTSTRAP="localhost:1",
        TELLTALE_LOG_FORMAT="json",
    )
    assert done.returncode == 3
    last = json.loads(done.stderr.splitlines()[-1])
    assert last["exit_code"] == 3
    assert "Kafka" in last["message"]
    assert "Traceback" not in done.stderr


def test_one_settings_file_serves_all_processes(tmp_path: Path, here: Here) -> None:
    (tmp_path / "t.yaml").write_text("mqtt: {host: example}\nquietAfter: 20s\nhttpPort: x\n")
    done = here("run", "uplink", "-c", "t.yaml")
    assert done.stderr.splitlines()[1:] == [
        "  httpPort: 'x' should be a valid integer, unable to parse string as an integer (from t.yaml:3)"
    ]


def test_the_version_is_told_for_people_and_programs(here: Here) -> None:
    assert here("version").stdout.splitlines()[0] == "telltale 0.1.0"
    assert here("--version").stdout == "telltale 0.1.0\n"
    assert json.loads(here("version", "--json").stdout)["telltale"] == "0.1.0"


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        pytest.param("telltale run al", "alerts", id="process"),
        pytest.param("telltale tail dead", "dead-letter", id="topic"),
        pytest.param("telltale topics c", "create", id="command"),
    ],
)
def test_the_shell_completes_commands_processes_and_topics(
    tmp_path: Path, words: str, completed: str
) -> None:
    done = telltale(
        directory=tmp_path,
        _TELLTALE_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    assert completed in done.stdout.split()


@pytest.mark.parametrize("name", ["alerts", "vehicle.alerts", "alert"])
def test_a_schema_is_found_by_its_short_name(here: Here, name: str) -> None:
    done = here("schema", name)
    assert json.loads(done.stdout)["title"] == "alert"


def test_schemas_of_headers_are_had_too(here: Here) -> None:
    assert json.loads(here("schema", "dead-letters").stdout)["title"] == "headers of a dead letter"
    assert json.loads(here("schema", "command-responses", "--headers").stdout)["title"] == (
        "headers of a raw record"
    )


def test_topics_are_listed_and_an_unknown_one_is_told(here: Here) -> None:
    assert "vehicle.alerts" in here("schema").stdout
    done = here("schema", "alrts")
    assert (done.returncode, done.stderr) == (
        2,
        "telltale: no topic is called 'alrts'; did you mean alerts?\n",
    )
    done = here("schema", "rules")
    assert (done.returncode, done.stdout) == (2, "")
    assert "have no schema" in done.stderr


@pytest.mark.parametrize("words", [("tail", "alerts"), ("topics", "check"), ("topics", "create")])
def test_a_kafka_that_is_not_there_is_told_and_ends_with_three(here: Here, words: tuple[str, ...]) -> None:
    done = here(*words, TELLTALE_KAFKA_BOOTSTRAP="localhost:1")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("telltale: Kafka does not answer at localhost:1: ")
    assert "Traceback" not in done.stderr
    assert "Unclosed" not in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("tail", "alrts"), "did you mean alerts?", id="topic"),
        pytest.param(
            ("tail", "alerts", "--since", "yesterday"), "--since yesterday: write 10m, 2h", id="since"
        ),
        pytest.param(
            ("tail", "alerts", "--since", "1h", "--from-beginning"), "exclude each other", id="both"
        ),
        pytest.param(("tail", "alerts", "-n", "0"), "greater than or equal to 1", id="limit"),
        pytest.param(("tail",), "Missing argument", id="no-topic"),
        pytest.param(
            ("topics", "create", "--replication", "0"), "greater than or equal to 1", id="replication"
        ),
        pytest.param(("topics", "create", "--rules", "/none"), "/none", id="rules"),
        pytest.param(("topics", "check", "--config", "/none"), "/none: there is no such file", id="config"),
    ],
)
def test_wrong_words_are_told_and_end_with_two(here: Here, words: tuple[str, ...], told: str) -> None:
    done = here(*words, TELLTALE_KAFKA_BOOTSTRAP="localhost:1")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_rules_that_are_right_are_counted(here: Here) -> None:
    import rules

    done = here("rules", "check", Path(rules.__file__).parent / "library")
    assert done.returncode == 0
    *left_out, total = done.stdout.splitlines()
    assert total.endswith(" documents: 0 errors, 0 warnings")
    assert [line.partition("library/")[2] for line in left_out] == [
        f"{name}: left out, it has a catalog of its own: check it by itself"
        for name in ("operations", "traces/obd")
    ]


def test_a_warning_about_rules_that_are_right_is_told_and_is_no_error(here: Here) -> None:
    files = Path(__file__).parents[1] / "documents" / "files"
    done = here("rules", "check", files / "hold-longer-than-known.bad.yaml")
    assert done.returncode == 0
    assert "warning[TT205] spec.for" in done.stdout
    assert done.stdout.endswith("2 documents: 0 errors, 1 warning\n")
    done = here("rules", "check", files / "hold-longer-than-known.bad.yaml", "--json")
    assert [(it["code"], it["severity"]) for it in json.loads(done.stdout)["findings"]] == [
        ("TT205", "warning")
    ]
    meant = here("rules", "check", files / "hold-longer-than-known.good.yaml")
    assert "0 warnings" in meant.stdout


def test_a_directory_that_is_a_rule_set_of_its_own_is_named(here: Here) -> None:
    import rules

    done = here("rules", "check", Path(rules.__file__).parent / "library", "--json")
    assert [Path(it).name for it in json.loads(done.stdout)["leftOut"]] == ["operations", "obd"]


def test_rules_that_are_wrong_are_told_with_their_places(tmp_path: Path, here: Here) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: telltale.dev/v1alpha1\nkind: AlertRul\nmetadata: {name: a}\n"
    )
    done = here("rules", "check", "a.yaml")
    assert done.returncode == 1
    assert done.stdout.startswith("a.yaml:2:")
    assert "error[TT012]" in done.stdout
    done = here("rules", "check", "a.yaml", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["code"] == "TT012"


def test_rules_that_are_not_there_are_told(here: Here) -> None:
    done = here("rules", "check", "none.yaml")
    assert done.returncode == 2
    assert "none.yaml: error[TT008]" in done.stdout
