"""`telltale rules backtest` as a user runs it: what is printed where, the picture, and the exit codes."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.backtest.rulebook import RULES, START, write_rules

TELLTALE = str(Path(sys.executable).parent / "telltale")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    write_rules(tmp_path)
    rows = [f"v1,{START + number * 1000},{130 if number < 12 else 90},true" for number in range(30)]
    (tmp_path / "trace.csv").write_text("\n".join(["vehicleId,ts,speed,belt", *rows]))
    return tmp_path


def backtest(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TELLTALE, "rules", "backtest", "rules.yaml", *arguments],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "120"},
    )


def test_the_table_counts_and_the_picture_shows(here: Path) -> None:
    done = backtest(here, "--from", "trace.csv", "--plot", "alerts.svg")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["fast", "1", "1", "0", "7s", "7s", "1"] in lines
    assert ["unbelted", "0", "0", "0", "-", "-", "0"] in lines
    assert "30 messages of 1 vehicle, 2026-01-01T00:00:00.000Z to 2026-01-01T00:00:29.000Z" in done.stdout
    picture = ET.parse(here / "alerts.svg").getroot()
    bars = picture.findall(".//{http://www.w3.org/2000/svg}polygon")
    titles = [it.text for it in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert len(bars) == 1
    assert titles == ["fast v1 critical: 2026-01-01 00:00:00 to 2026-01-01 00:00:17 (cleared)"]


def test_json_writes_what_would_stand_on_the_topics(here: Path) -> None:
    done = backtest(here, "--from", "trace.csv", "--json")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(it["topic"], it["key"]) for it in records] == [
        ("vehicle.alerts", "v1"),
        ("vehicle.commands", "v1"),
        ("vehicle.alerts", "v1"),
    ]
    assert records[0]["value"]["state"] == "firing"
    assert records[1]["value"]["cause"]["alertId"] == records[0]["value"]["id"]
    assert records[2]["value"]["endsAt"] == "2026-01-01T00:00:17.000Z"


def test_the_difference_from_other_rules(here: Path) -> None:
    write_rules(here / "other", RULES.replace("speed > 120", "speed > 125 && belt"))
    (here / "other" / "rules.yaml").write_text(RULES.replace("for: 10s", "for: 15s"))
    done = backtest(here, "--from", "trace.csv", "--against", "other")
    assert done.returncode == 0
    assert ["fast", "0", "1", "1", "0", "0"] in [line.split() for line in done.stdout.splitlines()]
    assert "+ fast  v1  critical since 2026-01-01T00:00:00.000Z" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["--from", "none.csv"], 2, "--from none.csv: no such file", id="no-file"),
        pytest.param(["--from", "vehicle.telemetri"], 2, "did you mean", id="no-topic-of-ours"),
        pytest.param(
            ["--from", "vehicle.alerts"], 2, "reads vehicle.telemetry or vehicle.raw", id="other-topic"
        ),
        pytest.param(["--from", "trace.csv", "--run", "slow"], 2, "no rule is called so", id="no-rule"),
        pytest.param(
            ["--from", "trace.csv", "--interval", "1s"], 2, "--interval needs --start", id="interval"
        ),
        pytest.param(["--from", "trace.csv", "--start", "now"], 2, "--start now", id="start"),
        pytest.param(["--from", "trace.csv", "--time-zone", "Mars"], 2, "no such zone", id="zone"),
        pytest.param(["--from", "trace.csv", "--since", "1h"], 2, "--since is for topics", id="since"),
        pytest.param(["--from", "."], 2, "a directory; name its files", id="directory"),
        pytest.param(["--from", "rules.yaml"], 2, "unknown suffix", id="suffix"),
        pytest.param([], 2, "Missing option '--from'", id="nothing"),
    ],
)
def test_wrong_usage_is_told_in_one_line(here: Path, arguments: list[str], code: int, said: str) -> None:
    done = backtest(here, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_signals_that_never_came_and_rules_that_failed_are_findings(here: Path) -> None:
    (here / "trace.jsonl").write_text(f'{{"vehicleId": "v1", "ts": {START}, "speed": 130}}\n')
    done = backtest(here, "--from", "trace.jsonl")
    assert done.returncode == 1
    assert "unbelted: the trace never has Vehicle.Belt" in done.stdout
    assert backtest(here, "--from", "trace.jsonl", "--allow-missing").returncode == 0


def test_wrong_rules_are_all_told(here: Path) -> None:
    (here / "rules.yaml").write_text(RULES.replace("speed > 120", "sped > 120"))
    done = backtest(here, "--from", "trace.csv")
    assert done.returncode == 2
    assert "TT101" in done.stderr
