"""Traces in every format say the same; what cannot be used is refused with its file, row and column."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from pipeline.backtest.asked import Asked
from pipeline.backtest.messages import TraceError
from pipeline.backtest.running import backtest
from pipeline.process.failures import ConfigurationError
from rules.instants import format_instant
from tests.backtest.rulebook import RULES, START, run, write_rules

SPEEDS = [50, 130, 130, 140, 130, 100, 90, 130]
ROWS = [
    {
        "vehicle": vehicle,
        "at": START + number * 6000 + shift,
        "seq": number,
        "speed": speed,
        "belt": number != 5,
    }
    for number, speed in enumerate(SPEEDS)
    for shift, vehicle in ((0, "v1"), (500, "v2"))
]  # fmt: skip


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return write_rules(tmp_path / "rules")


def as_csv(tmp_path: Path) -> Path:
    file = tmp_path / "trace.csv"
    lines = ["vehicleId,ts,seq,speed (km/h),belt,radio"]
    lines += [
        f"{it['vehicle']},{it['at']},{it['seq']},{it['speed']},{str(it['belt']).lower()},on" for it in ROWS
    ]
    file.write_text("\n".join(lines))
    return file


def as_csv_with_semicolons_and_dates(tmp_path: Path) -> Path:
    file = tmp_path / "dates.csv"
    lines = ["\ufeffvehicle;time;seq;Vehicle.Speed;cabin.belt"]
    for it in ROWS:
        moment = datetime.fromtimestamp(it["at"] / 1000, UTC).isoformat(sep=" ")  # type: ignore[operator]
        lines.append(f"{it['vehicle']};{moment};{it['seq']};{it['speed']};{int(it['belt'])}")
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def as_payloads(tmp_path: Path) -> Path:
    file = tmp_path / "payloads.jsonl"
    lines = [
        {
            "vehicleId": it["vehicle"],
            "ts": it["at"],
            "seq": it["seq"],
            "speed": it["speed"],
            "cabin": {"belt": it["belt"]},
        }
        for it in ROWS
    ]
    file.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    return file


def telemetry(it: dict[str, object]) -> dict[str, object]:
    at = format_instant(it["at"])  # type: ignore[arg-type]
    signals = {"Vehicle.Speed": it["speed"], "Vehicle.Belt": it["belt"]}
    return {"vehicleId": it["vehicle"], "ts": at, "receivedAt": at, "sequence": it["seq"], "signals": signals}


def as_telemetry(tmp_path: Path) -> Path:
    file = tmp_path / "telemetry.jsonl"
    file.write_text("\n".join(json.dumps(telemetry(it)) for it in ROWS))
    return file


def as_tail(tmp_path: Path) -> Path:
    file = tmp_path / "tail.jsonl"
    lines = []
    for offset, it in enumerate(ROWS):
        at = format_instant(it["at"])  # type: ignore[arg-type]
        record = {
            "topic": "vehicle.telemetry",
            "partition": 0,
            "offset": offset,
            "timestamp": at,
            "headers": {},
        }
        lines.append(json.dumps({**record, "key": it["vehicle"], "value": telemetry(it)}))
        lines.append(json.dumps({**record, "key": None, "value": {"receivedAt": at}}))
    file.write_text("\n".join(lines))
    return file


def as_parquet(tmp_path: Path) -> Path:
    file = tmp_path / "trace.parquet"
    times = [datetime.fromtimestamp(it["at"] / 1000, UTC) for it in ROWS]  # type: ignore[operator]
    table = {
        "vehicle_id": [it["vehicle"] for it in ROWS],
        "timestamp": pyarrow.array(times, pyarrow.timestamp("us", "UTC")),
        "seq": [it["seq"] for it in ROWS],
        "speed": pyarrow.array([it["speed"] for it in ROWS], pyarrow.float32()),
        "belt": [it["belt"] for it in ROWS],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), file)
    return file


FORMATS = [as_csv, as_csv_with_semicolons_and_dates, as_payloads, as_telemetry, as_tail, as_parquet]


@pytest.mark.parametrize("write", FORMATS, ids=lambda it: it.__name__)
def test_every_format_says_the_same(write: Callable[[Path], Path], tmp_path: Path, rules: Path) -> None:
    found = run(rules, write(tmp_path))
    expected = run(rules, as_csv(tmp_path))
    assert found.told == expected.told
    assert (found.messages, found.vehicles, found.duplicates, found.missing) == (16, 2, 0, {})
    assert [json.loads(it.value)["rule"] for it in found.told if b'"firing"' in it.value] == [
        "fast", "fast", "unbelted", "unbelted",
    ]  # fmt: skip


def test_the_number_of_workers_changes_nothing(tmp_path: Path, rules: Path) -> None:
    file = as_payloads(tmp_path)
    alone, several = run(rules, file), run(rules, file, workers=3)
    assert several.told == alone.told
    assert (several.messages, several.vehicles, several.last) == (alone.messages, alone.vehicles, alone.last)


def test_a_worker_that_meets_a_bad_row_says_so(tmp_path: Path, rules: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("vehicleId,ts,speed,belt\nv1,1767225600000,fast,true\n")
    with pytest.raises(TraceError, match="'fast' is not a number"):
        run(rules, file, workers=2)


def test_columns_that_nobody_knows_and_values_that_are_dropped_are_told(tmp_path: Path, rules: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(
        "vehicleId,ts,speed,belt,gear,radio\n"
        f"v1,{START},400,true,1.5,on\n"
        f"v1,{START + 1},nan,,,\n"
        f"v1,{START + 2},20\n"
        f"v1,{START + 2},20\n"
    )
    found = run(rules, file)
    assert found.ignored == ("radio",)
    assert found.dropped == {"out-of-range": 1, "row-cut-short": 2}
    assert (found.messages, found.duplicates) == (3, 1)


HEAD = "vehicleId,ts,speed,belt\n"
BAD = [
    ("empty.csv", "", "it is empty"),
    ("head.csv", HEAD, "there is no row below the header"),
    ("nameless.csv", ",,\n1,2,3\n", ":1: there is no header"),
    ("twice.csv", "vehicleId,ts,speed,speed\n", ":1: the column 'speed' stands there twice"),
    ("alias.csv", "vehicleId,ts,speed,Vehicle.Speed\n", ":1: the columns 'speed' and 'Vehicle.Speed' are"),
    ("anonymous.csv", "ts,speed,belt\n1,2,true\n", "no column says which vehicle"),
    ("near.csv", "vehicle_Id,ts,speed,belt\n1,2,3,true\n", "is 'vehicle_Id' meant"),
    ("timeless.csv", "vehicleId,speed,belt\nv1,3,true\n", "no column holds the time"),
    ("word.csv", f"{HEAD}v1,{START},fast,true\n", ":2: column 'speed': 'fast' is not a number"),
    ("boolean.csv", f"{HEAD}v1,{START},1,maybe\n", ":2: column 'belt': 'maybe' is neither true nor false"),
    ("hole.csv", f"{HEAD}v1,{START},1,true\nv1,,2,true\n", ":3: column 'ts': the time is missing"),
    ("nobody.csv", f"{HEAD},{START},1,true\n", ":2: column 'vehicleId': it names no vehicle"),
    ("zone.csv", f"{HEAD}v1,2026-01-01T00:00:00,1,true\n", ":2: column 'ts': .*it has no zone"),
    (
        "mixed.csv",
        f"{HEAD}v1,2026-01-01T00:00:00Z,1,true\nv1,2026-01-01 00:00:01,1,true\n",
        ":3: column 'ts': .*it has no zone",
    ),
    ("date.csv", f"{HEAD}v1,yesterday,1,true\n", ":2: column 'ts': 'yesterday': it is no time"),
    ("year.csv", f"{HEAD}v1,9e99,1,true\n", "it is not in the years 1 to 9999"),
    (
        "unsorted.csv",
        f"{HEAD}v1,{START + 5},1,true\nv2,{START},1,true\nv1,{START},1,true\n",
        ":4: an earlier row of v1 is later than this one: sort the file by time",
    ),
    ("wide.csv", f"{HEAD}v1,{START},1,true,7\n", ":2: 5 cells under 4 columns"),
    ("latin.csv", f"{HEAD}v\xe9,{START},1,true\n".encode("latin-1"), "not UTF-8"),
    ("quote.csv", f'{HEAD}"v1,{START},1,true\n' + "x" * 200_000, "field larger than field limit"),
    (
        "columns.csv",
        f"vehicleId,ts,gear\nv1,{START},1\n",
        "no column for signals that rules read\n  fast reads Vehicle.Speed\n  unbelted reads Vehicle.Belt",
    ),
    ("empty.jsonl", "\n\n", "it is empty"),
    ("text.jsonl", "speed=3\n", ":1: not JSON"),
    ("list.jsonl", "[1]\n", ":1: a JSON object was expected"),
    ("anonymous.jsonl", f'{{"ts": {START}, "speed": 1}}\n', ":1: it names no vehicle"),
    ("timeless.jsonl", '{"vehicleId": "v1", "speed": 1}\n', ":1: no time at ts"),
    ("zone.jsonl", '{"vehicleId": "v1", "ts": "2026-01-01T00:00:00"}\n', ":1: ts: .*it has no zone"),
    (
        "unsorted.jsonl",
        f'{{"vehicleId": "v1", "ts": {START}}}\n{{"vehicleId": "v1", "ts": {START - 1}}}\n',
        ":2: an earlier row of v1 is later than this one",
    ),
    ("text.parquet", "speed", "it is no Parquet file"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), BAD, ids=[it[0] for it in BAD])
def test_a_trace_that_cannot_be_used_is_refused(
    name: str, content: str | bytes, message: str, tmp_path: Path, rules: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TraceError, match=message) as caught:
        run(rules, file)
    assert str(caught.value).startswith(str(file))


def test_a_parquet_file_without_the_column_is_refused(tmp_path: Path, rules: Path) -> None:
    file = tmp_path / "trace.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"vehicleId": ["v1"], "ts": [START], "speed": [1.0]}), file)
    with pytest.raises(TraceError, match=r"unbelted reads Vehicle\.Belt"):
        run(rules, file)


def test_a_parquet_file_with_the_wrong_type_is_refused(tmp_path: Path, rules: Path) -> None:
    file = tmp_path / "trace.parquet"
    columns = {
        "vehicleId": ["v1"] * 2,
        "ts": [START, START + 1],
        "speed": ["1", "fast"],
        "belt": [True, None],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    with pytest.raises(TraceError, match=r"trace\.parquet:2: column 'speed': 'fast' is not a number"):
        run(rules, file)


def test_rows_without_vehicle_and_clock_are_counted_from_a_start(tmp_path: Path, rules: Path) -> None:
    file = tmp_path / "drive.csv"
    file.write_text("speed,belt\n" + "130,true\n" * 21)
    found = run(rules, file, vehicle="v9", start=START, interval=1000)
    firing = json.loads(found.told[0].value)
    assert (firing["vehicleId"], firing["startsAt"]) == ("v9", "2026-01-01T00:00:00.000Z")
    assert firing["firedAt"] == "2026-01-01T00:00:10.000Z"
    assert found.last == START + 20_000


def test_files_follow_each_other(tmp_path: Path, rules: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(HEAD + f"v1,{START},130,true\n")
    second.write_text(HEAD + f"v1,{START + 10_000},130,true\n")
    assert len(run(rules, first, second).told) == 2
    with pytest.raises(TraceError, match=r"a\.csv:2: an earlier row of v1 is later"):
        run(rules, second, first)


def test_a_suffix_that_is_unknown_is_a_usage_error(tmp_path: Path, rules: Path) -> None:
    file = tmp_path / "trace.xlsx"
    file.write_text("x")
    with pytest.raises(ConfigurationError, match=r"unknown suffix '\.xlsx'"):
        run(rules, file)


def test_what_differs_from_other_rules_is_told(tmp_path: Path, rules: Path) -> None:
    from pipeline.backtest.alerts import alerts_of, differences

    slower = write_rules(
        tmp_path / "other", RULES.replace("for: 10s", "for: 20s").replace("speed > 10 &&", "")
    )
    found = run(rules, as_csv(tmp_path), against=slower)
    assert found.against is not None
    changes = differences(alerts_of(found.against), alerts_of(found.told))
    assert [(it.sign, it.any.rule, it.any.vehicle_id) for it in changes] == [
        ("~", "fast", "v1"),
        ("~", "fast", "v2"),
    ]
    same = run(rules, as_csv(tmp_path), against=rules)
    assert same.against == same.told


def test_the_registry_of_a_file_comes_with_it(tmp_path: Path) -> None:
    limits = RULES.replace("speed > 120", "speed > vehicle.attributes.limit").replace(
        "speed > 10 &&", 'vehicle.labels.model == "ET5" &&'
    )
    rules = write_rules(tmp_path / "limits", limits)
    fleet = tmp_path / "fleet.csv"
    fleet.write_text("vehicleId,labels.model,attributes.limit\nv1,ES6,120\nv2,ET5,135\n")
    asked = Asked((rules,), (as_csv(tmp_path),), vehicles=(fleet,))
    found = backtest(asked, lambda *_: None)
    fired = [json.loads(it.value) for it in found.told if b'"firing"' in it.value]
    assert {(it["rule"], it["vehicleId"]) for it in fired} == {("fast", "v1"), ("unbelted", "v2")}
    fleet.write_text("vehicleId,limit\nv1,5\n")
    with pytest.raises(ConfigurationError, match=r"fleet\.csv:1"):
        backtest(asked, lambda *_: None)
