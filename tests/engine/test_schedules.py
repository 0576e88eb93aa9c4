"""When a schedule is open, against the wall clock asked minute by minute; and its edges."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import RuleSet, Source, compile_rules, parse
from rules.engine.memory import FOREVER, NEVER
from rules.engine.schedules import DAY_MS, Schedule, Span, Timetable
from rules.instants import parse_instant
from tests.engine.rulebook import document

CONFORMANCE = Path(__file__).parents[1] / "conformance" / "schedules.yaml"
MINUTE = 60_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # changed its clocks at midnight
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # by half an hour
    "Africa/Casablanca",
    "America/Nuuk",
    "Pacific/Apia",  # had no 30 December in 2011
    "Asia/Kathmandu",
)
DAYS = (
    datetime(2026, 3, 28, tzinfo=UTC),
    datetime(2026, 10, 24, tzinfo=UTC),
    datetime(2026, 4, 4, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=UTC),
    datetime(2011, 12, 29, tzinfo=UTC),
    datetime(2018, 11, 3, tzinfo=UTC),
    datetime(2026, 2, 27, tzinfo=UTC),
)


def milliseconds(moment):
    return (moment - EPOCH) // timedelta(milliseconds=1)


def is_open(spans, at):
    """What the wall clock says."""
    for span in spans:
        wall = (EPOCH + timedelta(milliseconds=at)).astimezone(ZoneInfo(span.zone))
        time = ((wall.hour * 60 + wall.minute) * 60 + wall.second) * 1000 + wall.microsecond // 1000
        today, yesterday = wall.weekday() in span.days, (wall.weekday() - 1) % 7 in span.days
        if span.end > span.start:
            if today and span.start <= time < span.end:
                return True
        elif (today and time >= span.start) or (yesterday and time < span.end):
            return True
    return False


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["case"]) for case in yaml.safe_load(CONFORMANCE.read_text())]
)
def test_conformance(case):
    catalog = document("SignalCatalog", "c", {"timestamp": {"path": "ts"}, "signals": {"x": {}}})
    text = f"{catalog}\n---\n{document('AlertRule', 'r', {'when': 'x > 0', 'schedule': case['schedule']})}"
    rules = compile_rules(parse([Source("case.yaml", text)]))
    assert isinstance(rules, RuleSet), [each.format() for each in rules]
    schedule = rules.rules[0].schedule
    assert [at for at in case["open"] if not schedule.is_open(parse_instant(at))] == []
    assert [at for at in case["closed"] if schedule.is_open(parse_instant(at))] == []


def spans_of(choice):
    def span():
        start = choice.choice([0, 1, 30, 59, 60, 90, 120, 150, 180, 360, 1320, 1439])
        end = choice.choice([0, 1, 30, 60, 90, 119, 150, 180, 360, 1080, 1440])
        days = frozenset(choice.sample(range(7), choice.randint(1, 7)))
        return Span(days, start * MINUTE, (end if end != start else 1440) * MINUTE, choice.choice(ZONES))

    return [span() for _ in range(choice.randint(1, 3))]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from(DAYS))
def test_it_is_open_while_the_wall_clock_says_so_and_edges_are_where_that_changes(seed, day):
    spans = spans_of(random.Random(seed))
    schedule = Schedule(spans)
    begin = milliseconds(day)
    asked = [begin + minute * MINUTE for minute in range(3 * 24 * 60)]
    states = [is_open(spans, at) for at in asked]
    assert [schedule.is_open(at) for at in asked] == states
    random.Random(seed).shuffle(asked)
    assert {at: schedule.is_open(at) for at in asked} == {at: is_open(spans, at) for at in asked}
    edges, at = [], schedule.next_edge(begin + 1)
    while at < begin + 3 * DAY_MS:
        edges.append(at)
        at = schedule.next_edge(at + 1)
    changes = [
        begin + number * MINUTE for number in range(1, len(states)) if states[number] != states[number - 1]
    ]
    assert edges == changes
    for before, after in pairwise(edges):
        assert schedule.last_edge(after - 1) == schedule.last_edge(before) == before
        assert schedule.next_edge(before) == before
        assert schedule.next_edge(before + 1) == schedule.next_edge(after) == after


@pytest.mark.parametrize("at", [-(10**15), NEVER, 0, 10**15, 2**62 - 1])
def test_an_instant_in_no_year_has_an_answer(at):
    schedule = Schedule([Span(frozenset([2]), 0, 3_600_000, "Europe/Berlin")])
    assert isinstance(schedule.is_open(at), bool)
    assert schedule.last_edge(at) <= at <= schedule.next_edge(at)


def test_what_is_always_open_has_no_edge():
    whole = frozenset(range(7))
    schedule = Schedule([Span(whole, 0, DAY_MS, "Europe/Berlin"), Span(whole, 3_600_000, 7_200_000, "UTC")])
    assert schedule.is_open(0)
    assert (schedule.last_edge(0), schedule.next_edge(0), schedule.longest()) == (NEVER, FOREVER, FOREVER)


def test_the_longest_time_is_that_of_spans_that_meet():
    night = Span(frozenset([4]), 22 * 3_600_000, 6 * 3_600_000, "Asia/Shanghai")
    morning = Span(frozenset([5]), 6 * 3_600_000, 9 * 3_600_000, "Asia/Shanghai")
    assert Schedule([night]).longest() == 8 * 3_600_000
    assert Schedule([night, morning]).longest() == 11 * 3_600_000


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from(DAYS))
def test_a_timetable_is_its_schedules_one_by_one(seed, day):
    choice = random.Random(seed)
    schedules = [choice.choice([None, Schedule(spans_of(choice))]) for _ in range(5)]
    schedules += schedules[:2]
    timetable = Timetable(schedules)
    rules = choice.getrandbits(7)
    for _ in range(40):
        at = milliseconds(day) + choice.randrange(2 * 24 * 60) * MINUTE
        closed = {index for index, it in enumerate(schedules) if it is not None and not it.is_open(at)}
        if timetable.mask:
            assert timetable.closed(at) == sum(1 << index for index in closed)
        edges = {i: it.next_edge(at) for i, it in enumerate(schedules) if it is not None and rules >> i & 1}
        assert timetable.next_edge(at, rules) == min(edges.values(), default=FOREVER)
        assert timetable.edge_at(at, rules) == sum(1 << index for index, edge in edges.items() if edge == at)
