"""Sketches: percentiles within their error, whatever the values and however they are merged."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.monitoring.metrics.sketches import (
    MOST_BUCKETS,
    entries_of,
    keys_of,
    percentiles,
    sketch_of,
    sketches,
)

PERCENTS = (1, 50, 95, 99, 100)
VALUES = st.lists(
    st.one_of(
        st.floats(-1e18, 1e18, allow_subnormal=False),
        st.integers(-100, 100).map(float),
        st.floats(1e-6, 1e3),
    ),
    min_size=1,
    max_size=200,
)


def exact(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def assert_right(blobs: list[bytes], values: list[float], error: float = 0.0101) -> None:
    found = percentiles(blobs, PERCENTS, min(values), max(values))
    wanted = [exact(values, percent) for percent in PERCENTS]
    assert found == pytest.approx(wanted, rel=error, abs=1e-29)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_percentiles_are_right_to_one_percent(values: list[float]) -> None:
    assert_right([sketch_of(values)], values)


@given(VALUES, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_merged_sketches_are_the_sketch_of_all_values_in_any_order(
    values: list[float], chance: Random
) -> None:
    shuffled = chance.sample(values, len(values))
    parts = [sketch_of(part) for part in (shuffled[::3], shuffled[1::3], shuffled[2::3]) if part]
    owners, keys, counts = entries_of(parts)
    assert sketches(np.zeros_like(owners), keys, counts, 1) == [sketch_of(values)]
    assert_right(parts[::-1], values)


@pytest.mark.parametrize(
    "draw",
    [
        lambda chance: chance.lognormvariate(3, 1),
        lambda chance: chance.expovariate(0.01),
        lambda chance: chance.paretovariate(1.1),
        lambda chance: chance.gauss(0, 50),
        lambda chance: chance.choice([1.0, 1000.0]),
        lambda chance: 0.0 if chance.random() < 0.6 else chance.random(),
        lambda chance: 42.0,
    ],
    ids=["lognormal", "exponential", "pareto", "normal", "two modes", "mostly zero", "constant"],
)
def test_many_values_of_a_distribution(draw: object) -> None:
    chance = Random(7)
    values = [float(draw(chance)) for _ in range(20_000)]  # type: ignore[operator]
    assert_right([sketch_of(values[start::50]) for start in range(50)], values)


def test_a_sketch_stays_small_and_keeps_its_upper_percentiles() -> None:
    chance = Random(3)
    values = [chance.choice([-1, 1]) * 10 ** chance.uniform(-25, 18) for _ in range(50_000)]
    blob = sketch_of(values)
    assert len(blob) <= 1 + 10 * MOST_BUCKETS
    found = percentiles([blob], (95, 99), min(values), max(values))
    assert found == pytest.approx([exact(values, 95), exact(values, 99)], rel=0.0101)
    assert percentiles([blob], (100,), -1e18, 1e18) == pytest.approx([max(values)], rel=0.0101)
    assert entries_of([blob])[2].sum() == 50_000


def test_counts_beyond_small_ones_are_kept() -> None:
    blob = sketch_of([5.0] * 70_000 + [1.0])
    assert sorted(entries_of([blob, sketch_of([1.0])])[2]) == [1, 1, 70_000]


@given(st.lists(st.floats(-1e18, 1e18), min_size=2, max_size=50))
def test_a_larger_value_never_has_a_smaller_key(values: list[float]) -> None:
    keys = keys_of(np.asarray(sorted(values))).tolist()
    assert keys == sorted(keys)


def test_what_no_version_wrote_is_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        entries_of([b"\x09abcd"])
