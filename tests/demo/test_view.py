import io
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from bridges.demo.accounts import Accounts, Seen
from bridges.demo.board import Board
from bridges.demo.children import Child, Phase
from bridges.demo.health import Condition
from bridges.demo.installation import STAGES
from bridges.demo.screen import Lines
from bridges.demo.view import Scene, render

RULES = [f"rule-{number}" for number in range(10)]
SIZES = [(80, 24), (100, 30), (120, 40), (160, 50), (200, 24)]


def alert(alert_id, state, **more):
    document = {
        "id": alert_id,
        "rule": "rule-3",
        "vehicleId": "vehicle-01",
        "state": state,
        "severity": "critical",
    }
    document |= {"annotations": {"summary": "29.900000000000002 °C"}, "reason": None, "value": 1.5}
    return Seen("vehicle.alerts", b"vehicle-01", orjson.dumps(document | more), {})


def command(topic, **document):
    return Seen(topic, b"vehicle-01", orjson.dumps(document), {})


def a_full_board():
    board = Board()
    for number in range(100):
        board.take(alert(f"a{number}", "firing"), float(number))
        cause = {"rule": "rule-3"}
        board.take(
            command("vehicle.commands", id=f"c{number}", name="stop", vehicleId="vehicle-01", cause=cause),
            float(number),
        )
        board.note(float(number), f"note {number}")
    return board


def children():
    names = (*STAGES, "simulate")
    made = [Child(name, ("run", name), dict, Path(name)) for name in names]
    for child in made:
        child.phase, child.pid = Phase.RUNNING, 4711
    return made


def a_scene(board, **changes):
    made = children()
    scene = {
        "now": 100.0,
        "began": 0.0,
        "vehicles": 50,
        "heading": "",
        "board": board,
        "accounts": Accounts(),
        "fleet": {"published": 12_345, "latency_ms": {"p50": 41.5, "p99": 120.0}},
        "children": made,
        "conditions": {child.name: Condition(ready=True, cpu=0.5, memory_mb=80.0) for child in made},
        "rules": RULES,
    }
    return Scene(**(scene | changes))


def screen(board, width, height, **changes):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(render(a_scene(board, **changes), width, height))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("board", [Board(), a_full_board()], ids=["empty", "full"])
def test_the_screen_is_never_larger_than_the_terminal(board, width, height):
    lines = screen(board, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_size_shows_figures_alerts_commands_and_processes(width, height):
    text = "\n".join(screen(a_full_board(), width, height))
    for shown in (
        "50 vehicles",
        "p50 42 p99 120 ms",
        "12,345",
        "rule-3",
        "stop",
        "downlink",
        "ready",
        "4711",
    ):
        assert shown in text


def test_a_large_terminal_shows_every_rule_and_the_notes():
    text = "\n".join(screen(a_full_board(), 160, 50))
    assert all(rule in text for rule in RULES)
    assert "note 99" in text


def test_a_dead_process_says_what_killed_it():
    made = children()
    made[2].phase, made[2].last_exit, made[2].restarts = Phase.DEAD, "killed by SIGKILL", 1
    assert "killed by SIGKILL" in "\n".join(screen(Board(), 80, 24, children=made))


def test_what_is_missing_stands_beside_the_process():
    conditions = {"alerts": Condition(missing="partition 3 is being restored")}
    assert "partition 3 is being restored" in "\n".join(screen(Board(), 160, 50, conditions=conditions))


def test_numbers_in_summaries_are_shortened():
    assert "29.9 °C" in "\n".join(screen(a_full_board(), 160, 50))


def test_an_alert_begins_rises_and_ends_on_the_board():
    board = Board()
    board.take(alert("x", "firing", severity="warning"), 1.0)
    board.take(alert("x", "firing"), 2.0)
    assert [line.raised for line in board.news] == [False, True]
    assert (board.fired["rule-3"], len(board.firing)) == (1, 1)
    board.take(alert("x", "resolved", reason="cleared"), 3.0)
    assert (board.resolved["rule-3"], len(board.firing)) == (1, 0)


def test_a_line_counts_the_alerts_that_the_summary_counts():
    board, accounts = Board(), Accounts()
    visit = {"id": "v1", "rule": "yard", "vehicleId": "vehicle-01", "event": "enter", "fence": "depot"}
    window = {"id": "w1", "rule": "use", "vehicleId": "vehicle-01", "update": 0, "final": True}
    for seen in (
        alert("a", "firing"),
        alert("b", "firing"),
        alert("b", "resolved"),
        Seen("vehicle.geofence-events", b"vehicle-01", orjson.dumps(visit), {}),
        Seen("vehicle.aggregates", b"vehicle-01", orjson.dumps(window), {}),
    ):
        board.take(seen, 1.0)
        accounts.take(seen)
    told = io.StringIO()
    Lines(Console(file=told)).draw(a_scene(board, accounts=accounts))
    assert "1 alerts firing, 2 fired" in told.getvalue()
    assert accounts.summary(published=0, latency_ms={})["alerts_fired"] == 2


def test_a_command_counts_once_in_each_state_and_an_answer_stays():
    board = Board()
    cause = {"rule": "rule-3"}
    board.take(command("vehicle.commands", id="1", name="stop", vehicleId="v", cause=cause), 1.0)
    answer = command("vehicle.command-responses", id="1", status="acknowledged")
    delivery = command("vehicle.command-deliveries", id="1", state="published")
    for seen in (answer, delivery, answer, delivery):
        board.take(seen, 2.0)
    assert dict(board.command_states) == {"requested": 1, "acknowledged": 1, "published": 1}
    assert board.commands["1"].state == "acknowledged"


def test_messages_a_second_are_those_of_the_last_seconds():
    board = Board()
    for number in range(1_000):
        board.take(Seen("vehicle.raw", b"v", b"{}", {}), number / 100)
    assert board.rate(10.0) == pytest.approx(100.0, rel=0.05)
    assert board.rate(60.0) == 0.0
