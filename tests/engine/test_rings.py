"""What windows say, held to sums over all samples in fractions; and rings through snapshots and bounds."""

import math
import random
from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import ring_parts, rings, windows
from rules.engine.condensing import PARTS, STEPS, step_of
from rules.engine.leaves import Leaves
from rules.engine.memory import Layout, Memory
from rules.engine.rings import CHUNK, Kept, Ring
from rules.language import UNKNOWN
from rules.language.windows import PARAMETERS, Window
from tests.engine.model import WINDOWED

DURATIONS = (5, 40, 333, 2000)
FUNCTIONS = frozenset(PARAMETERS)
KEPT = Kept(DURATIONS, FUNCTIONS, DURATIONS)
SMALL = Kept(DURATIONS, FUNCTIONS, DURATIONS, most=2 * CHUNK)
ASKED = [Window(function, duration) for function in FUNCTIONS - {"percentile"} for duration in DURATIONS]
PERCENTILES = [
    Window("percentile", duration, percent)
    for duration in DURATIONS
    for percent in (0.0, 12.5, 50.0, 95.0, 100.0)
]
Samples = list[tuple[int, float]]


def samples_of(seed: int, count: int, *, gap: int = 12) -> Samples:
    """Samples of one kind, from walks to huge numbers; some at equal times, some far apart."""
    choice = random.Random(seed)
    kind = choice.choice(["walk", "counter", "noise", "levels", "huge"])
    at, value = choice.choice([0, 1_767_225_600_000]), 50.0
    made = []
    for _ in range(count):
        at += choice.choice([0, 1, 1, 2, gap, gap, 40] + [2500] * (choice.random() < 0.02))
        match kind:
            case "walk":
                value += choice.uniform(-1, 1)
            case "counter":
                value = 0.1 if choice.random() < 0.05 else value + choice.choice([0, 0.1, 3])
            case "noise":
                value = choice.gauss(0, 100)
            case "levels":
                value = float(choice.randint(-3, 3))
            case "huge":
                value = choice.choice([-1, 1]) * 10.0 ** choice.randint(-300, 300)
        made.append((at, value))
    return made


def brute(samples: Samples, at: int, window: Window) -> object:
    inside = [Fraction(value) for time, value in samples if at - window.duration_ms < time <= at]
    try:
        return WINDOWED[window.function](inside, Fraction(window.percent))
    except OverflowError:
        return math.inf


def said(ring: Ring, at: int, window: Window) -> object:
    value = windows.ask(ring, at, window)
    return None if value is UNKNOWN else value


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**40), st.integers(1, 150))
def test_a_window_says_what_adding_it_up_anew_says_to_the_last_bit(seed: int, count: int) -> None:
    samples = samples_of(seed, count)
    choice = random.Random(seed)
    ring = Ring(KEPT)
    for number, (at, value) in enumerate(samples):
        ring.take(at, value)
        if number + 1 < count and samples[number + 1][0] == at:
            continue
        instant = at + choice.choice([0, 0, 1, 6, 300, 3000])
        taken = samples[: number + 1]
        for window in choice.sample(ASKED, 6):
            assert said(ring, instant, window) == brute(taken, instant, window), window
        for window in choice.sample(PERCENTILES, 3):
            found, expected = said(ring, instant, window), brute(taken, instant, window)
            assert found == expected or found == pytest.approx(expected, rel=1e-12, abs=1e-300), window


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**40), st.integers(200, 700))
def test_beyond_its_bound_a_ring_tells_of_windows_up_to_one_percent_longer(seed: int, count: int) -> None:
    samples = samples_of(seed, count, gap=1)
    choice = random.Random(seed)
    ring = Ring(SMALL)
    for number, (at, value) in enumerate(samples):
        ring.take(at, value)
        assert len(ring.times) < SMALL.most
        if choice.random() < 0.9 or (number + 1 < count and samples[number + 1][0] == at):
            continue
        instant = at + choice.choice([0, 0, 1, 6, 300])
        taken = samples[: number + 1]
        for window in choice.sample(ASKED, 4):
            longer = [Window(window.function, duration) for duration in reaches(taken, instant, window)]
            assert said(ring, instant, window) in [brute(taken, instant, each) for each in longer], window


def reaches(samples: Samples, at: int, window: Window) -> list[int]:
    """The durations of which a window may be told instead: each lets in one more sample, up to 1 %."""
    furthest = window.duration_ms + window.duration_ms // PARTS
    times = {time for time, _ in samples if window.duration_ms <= at - time <= furthest}
    return [window.duration_ms, *(at - time + 1 for time in times)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**40), st.integers(300, 900))
def test_percentiles_beyond_the_bound_are_off_by_one_percent_at_most(seed: int, count: int) -> None:
    choice = random.Random(seed)
    at, samples = 0, []
    ring = Ring(Kept((2000,), frozenset({"percentile"}), (), most=2 * CHUNK))
    for _ in range(count):
        at += choice.choice([1, 2, 9])
        samples.append((at, choice.choice([choice.uniform(1, 9), -choice.lognormvariate(2, 1), 0.0])))
        ring.take(*samples[-1])
    for percent in (0.0, 10.0, 50.0, 99.0, 100.0):
        window = Window("percentile", 2000, percent)
        found = said(ring, at, window)
        assert isinstance(found, float)
        bounds = []
        for reach in reaches(samples, at, window):
            inside = sorted(value for time, value in samples if at - reach < time <= at)
            rank = percent / 100 * (len(inside) - 1)
            bounds.append((inside[math.floor(rank)], inside[math.ceil(rank)]))
        assert any(
            left - abs(left) * 0.0101 <= found <= right + abs(right) * 0.0101 for left, right in bounds
        )


@pytest.mark.parametrize("value", [1e-300, 1.0, 1.0201, 130.7, -5.5, 1e307, 1.7e308, -1e-9])
def test_a_step_is_within_one_percent_and_its_own_step(value: float) -> None:
    assert step_of(value) == pytest.approx(value, rel=0.01)
    assert step_of(step_of(value)) == step_of(value)


def memory(kept: Kept) -> Memory:
    return Memory.empty(Layout(("speed",), {"speed": 0}, (2**62,), ((),), frozenset(), (2**62,), {0: kept}))


@pytest.mark.parametrize("kept", [KEPT, SMALL], ids=["exact", "condensed"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**40), count=st.integers(1, 600))
def test_parts_add_up_to_the_ring(kept: Kept, seed: int, count: int) -> None:
    choice = random.Random(seed)
    steady, cut = memory(kept), memory(kept)
    written: dict[str, bytes] = {}
    for at, value in samples_of(seed, count, gap=1):
        steady.take(0, at, value)
        cut.take(0, at, value)
        if choice.random() < 0.1:
            add(written, ring_parts.changed(cut))
            assert ring_parts.changed(cut) == {}
            assert written == ring_parts.snapshot(steady)
            cut = memory(kept)
            ring_parts.restore(cut, written)
            cut.times[0] = at
            assert cut.rings == steady.rings
            assert ring_parts.snapshot(cut) == written
            assert ring_parts.changed(cut) == {}
            for window in choice.sample(ASKED + PERCENTILES, 12):
                assert said(cut.rings[0], at + 3, window) == said(steady.rings[0], at + 3, window)
            assert cut.next_leave(at) == steady.next_leave(at)


def add(written: dict[str, bytes], changed: Mapping[str, bytes | None]) -> None:
    for part, packed in changed.items():
        if packed is None:
            written.pop(part, None)
        else:
            written[part] = packed


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), st.integers(1, 400), st.booleans())
def test_leaves_are_where_samples_leave(seed: int, count: int, is_small: bool) -> None:
    samples = samples_of(seed, count, gap=1)
    ring = Ring(SMALL if is_small else KEPT)
    for sample in samples:
        ring.take(*sample)
    newest = samples[-1][0]
    ends = [bucket.last_at for bucket in ring.buckets] + ring.times
    expected = sorted({end + each for end in ends for each in DURATIONS if end + each >= newest})
    frontier = newest
    found = []
    while (leave := ring.next_leave(frontier)) < rings.NONE:
        found.append(leave)
        frontier = leave + 1
    assert found == expected


def test_what_is_no_finite_number_is_no_sample() -> None:
    ring = Ring(KEPT)
    for value in (math.nan, math.inf, True, "12", None, 10**400, [1.0]):
        ring.take(5, value)
    assert ring.times == []
    ring.take(6, 3)
    assert ring.values == [3.0]


def test_a_flood_keeps_memory_and_parts_bounded() -> None:
    kept = Kept((60_000, 3_600_000), FUNCTIONS, (60_000,))
    flooded = memory(kept)
    choice = random.Random(3)
    for at in range(0, 36_000_000, 720):
        flooded.take(0, at, choice.lognormvariate(0, 3))
    ring = flooded.rings[0]
    assert len(ring.times) < rings.MOST
    assert len(ring.buckets) < 2 * PARTS * (1 + math.log(60))
    assert max(len(bucket.bins) for bucket in ring.buckets) <= STEPS
    parts = ring_parts.snapshot(flooded)
    assert max(map(len, parts.values())) < 32_000
    assert windows.count(ring, 36_000_000 - 720, 3_600_000) == pytest.approx(5000, rel=0.011)


def test_a_ring_that_was_away_for_a_while_begins_anew_and_removes_what_it_left() -> None:
    before, after = memory(KEPT), memory(KEPT)
    for at in range(1000, 1100):
        before.take(0, at, 1.0)
    left = ring_parts.snapshot(before)
    for at in range(5000, 5070):
        after.take(0, at, 2.0)
    now = ring_parts.snapshot(after)
    assert not left.keys() & now.keys()
    found = memory(KEPT)
    ring_parts.restore(found, {**left, **now})
    assert found.rings == after.rings
    assert ring_parts.changed(found) == dict.fromkeys(left)


@pytest.mark.parametrize(
    "packed",
    [b"", b"\x02\x90", b"\x01", b"\x01\xc0", b"\x01\x94\x01\x02\x90\xc4\x00", b"\x01\x92\x01\x91\x01"],
)
@pytest.mark.parametrize("number", ["17", "17.1", "17.x", "old-0", "old-7", "x"])
def test_bytes_that_are_no_part_are_refused(packed: bytes, number: str) -> None:
    said = memory(KEPT)
    said.take(0, 1, 2.0)
    name = next(iter(ring_parts.snapshot(said))).rpartition("/")[0]
    with pytest.raises(ValueError, match=name):
        ring_parts.restore(memory(KEPT), {f"{name}/{number}": packed})


@pytest.mark.parametrize("kept", [KEPT, SMALL], ids=["exact", "condensed"])
def test_the_parts_of_a_vehicle_that_is_forgotten_are_known(kept: Kept) -> None:
    forgotten = memory(kept)
    kept_parts: dict[str, bytes] = {}
    for at in range(0, 3000, 3):
        forgotten.take(0, at, 1.0)
        if at % 300 == 0:
            add(kept_parts, ring_parts.changed(forgotten))
    assert sorted({*ring_parts.written(forgotten)}) == sorted(kept_parts)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), st.integers(1, 400), st.booleans())
def test_leaves_found_at_once_are_those_found_one_by_one(seed: int, count: int, is_small: bool) -> None:
    choice = random.Random(seed)
    remembered = memory(SMALL if is_small else KEPT)
    for sample in samples_of(seed, count, gap=1):
        remembered.take(0, *sample)
    at, ring = remembered.times[0], remembered.rings[0]
    ends = {*ring.times, *(bucket.last_at for bucket in ring.buckets)}
    frontier, limit = at + choice.choice([0, 0, 7]), at + choice.choice([1, 30, 400, 5000])
    leaves = Leaves(remembered, frontier, limit)
    while (expected := remembered.next_leave(frontier)) < limit:
        assert leaves.due == expected
        assert leaves.at(expected - 1) == ()
        assert list(leaves.at(expected)) == [(0, each) for each in DURATIONS if expected - each in ends]
        frontier = expected + 1
    assert leaves.due == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**40), st.integers(1, 300))
def test_samples_stay_in_order_whichever_way_time_goes(seed: int, count: int) -> None:
    choice = random.Random(seed)
    ring = Ring(Kept((300,), frozenset({"percentile"}), ()))
    for at, value in samples_of(seed, count):
        ring.take(at, value)
        for instant in choice.choices([at, at + 5, at + 290, at + 400, at + 1], k=choice.randint(0, 3)):
            window = Window("percentile", 300, 40.0)
            fresh = Ring(ring.kept)
            fresh.refill(ring.began, ring.first_chunk, ring.times, ring.values)
            assert said(ring, instant, window) == said(fresh, instant, window)
