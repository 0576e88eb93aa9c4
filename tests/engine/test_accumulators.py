"""Sums and sketches: exact or within the stated error, whatever the order and however merged."""

import math
import random
from fractions import Fraction
from statistics import pstdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.engine.aggregation.accumulators import ACCUMULATORS, result
from rules.engine.aggregation.distinct import EXACT, Distinct
from rules.engine.aggregation.sketch import BUCKETS, MOST, Sketch

numbers = st.floats(allow_nan=False, allow_infinity=False)
samples = st.lists(st.tuples(numbers, st.integers(0, 5), st.sampled_from(("v1", "v2"))), max_size=30)


def kept(function: str, parts: list[list[tuple[float, int, str]]]) -> Any:
    """Each part added up for itself, all merged, with a trip through bytes between."""
    whole = ACCUMULATORS[function]()
    for part in parts:
        one = ACCUMULATORS[function]()
        for value, ts, who in part:
            one.add(value, ts, who)
        whole.merge(ACCUMULATORS[function].unpack(one.pack()))
    return whole


@given(st.sampled_from(sorted(ACCUMULATORS)), samples, st.randoms(use_true_random=False))
def test_neither_order_nor_merging_changes_a_bit(
    function: str, said: list[tuple[float, int, str]], choice: random.Random
) -> None:
    once = list({(ts, who): (value, ts, who) for value, ts, who in said}.values())
    shuffled = choice.sample(once, len(once))
    cut = choice.randint(0, len(once))
    one, other = kept(function, [once]), kept(function, [shuffled[:cut], [], shuffled[cut:]])
    assert one.pack() == other.pack()
    assert result(function, one, 95.0) == result(function, other, 95.0)


@given(st.lists(numbers, min_size=1, max_size=30))
def test_sums_and_means_are_rounded_once(said: list[float]) -> None:
    part = [[(value, 0, "v") for value in said]]
    exact = sum(map(Fraction, said))
    for function, expected in (("sum", exact), ("avg", exact / len(said))):
        try:
            rounded: float | None = float(expected)
        except OverflowError:
            rounded = None
        assert result(function, kept(function, part)) == rounded


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_the_deviation_is_the_populations(said: list[float]) -> None:
    found = result("stddev", kept("stddev", [[(value, 0, "v") for value in said]]))
    assert found == pytest.approx(pstdev(map(Fraction, said)), rel=1e-15, abs=1e-150)


def test_the_deviation_of_large_numbers_keeps_its_digits() -> None:
    said = [(1e15 + step, 0, "v") for step in (0.0, 1.0, 2.0)]
    assert result("stddev", kept("stddev", [said])) == math.sqrt(2 / 3)


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-4, 1e4), st.floats(-1e4, -1e-4)), min_size=1, max_size=200),
    st.floats(0, 100),
)
def test_a_percentile_is_the_nearest_ranks_value_within_a_256th(said: list[float], percent: float) -> None:
    exact = sorted(said)[max(1, math.ceil(percent * len(said) / 100)) - 1]
    found = result("percentile", kept("percentile", [[(value, 0, "v") for value in said]]), percent)
    assert found == pytest.approx(exact, rel=1 / (2 * BUCKETS))


def test_a_percentile_is_never_outside_of_what_was_said() -> None:
    same = kept("percentile", [[(40.1, 0, "v")] * 100])
    assert [same.percentile(percent) for percent in (0, 50, 100)] == [40.1] * 3


@given(st.lists(numbers.filter(bool), max_size=300))
def test_a_sketch_is_bounded(said: list[float]) -> None:
    sketch = kept("percentile", [[(value, 0, "v") for value in said]])
    for side in (sketch.above.counts, sketch.below.counts):
        assert not side or max(side) - min(side) < MOST
    assert sum(sketch.above.counts.values()) + sum(sketch.below.counts.values()) == len(said)


def test_few_different_values_are_counted_exactly() -> None:
    distinct = Distinct()
    for value in [*range(EXACT // 2), *map(str, range(EXACT // 2))] * 3:
        distinct.add(value, 0, "v")
    assert distinct.estimate() == EXACT
    again = Distinct()
    for value in (True, 1.0, 1, "1", False, 0.0, -0.0, "true"):
        again.add(value, 0, "v")
    assert again.estimate() == 6


@pytest.mark.parametrize("many", [EXACT + 1, 1_000, 10_000, 100_000])
def test_many_different_values_are_counted_within_five_percent(many: int) -> None:
    """Three times the standard error of 1.6 %; the hash is fixed, so this is no matter of luck."""
    distinct = Distinct()
    for value in range(many):
        distinct.add(f"vehicle-{value}", 0, "v")
    assert distinct.estimate() == pytest.approx(many, rel=0.049)
    assert len(distinct.pack()) <= 4_097


def test_the_error_of_distinct_is_1_6_percent() -> None:
    errors = []
    for series in range(30):
        distinct = Distinct()
        for value in range(3_000):
            distinct.add(f"{series}/{value}", 0, "v")
        errors.append(distinct.estimate() / 3_000 - 1)
    assert math.sqrt(sum(error * error for error in errors) / len(errors)) < 0.022
    assert abs(sum(errors) / len(errors)) < 0.01


def test_what_is_kept_of_a_million_samples_is_small() -> None:
    sums, sketch = ACCUMULATORS["stddev"](), Sketch()
    choice = random.Random(1)
    for _ in range(20_000):
        value = choice.gauss(40.0, 8.0)
        sums.add(value, 0, "v")
        sketch.add(value, 0, "v")
    assert len(sketch.pack()[3]) < 1_000
    assert sum(len(digits) for digits in sums.pack() if isinstance(digits, bytes)) < 60
