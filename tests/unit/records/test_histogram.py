"""The histogram's promise: counts exact, values within its relative error."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.records.histogram import RELATIVE_ERROR, ZERO, bucket, histogram_of, merge_counts, quantile, upper_bound, value_of

SECONDS = st.floats(1e-9, 1e9)
BOUND = RELATIVE_ERROR * (1 + 1e-9)


def nearest_rank(values: list[float], q: float) -> float:
    return sorted(values)[max(1, math.ceil(q * len(values) - 1e-9)) - 1]


def test_the_error_is_within_what_is_promised() -> None:
    assert RELATIVE_ERROR <= 0.016


@given(SECONDS)
def test_a_value_is_read_back_within_the_error(seconds: float) -> None:
    assert abs(value_of(bucket(seconds)) - seconds) <= BOUND * seconds


@given(st.lists(SECONDS, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_within_the_error_of_the_true_one(values: list[float], q: float) -> None:
    truth = nearest_rank(values, q)
    found = quantile(histogram_of(values), q)
    assert found is not None
    assert abs(found - truth) <= BOUND * truth


@given(SECONDS, SECONDS)
def test_buckets_keep_the_order(one: float, other: float) -> None:
    assert (bucket(one) <= bucket(other)) or one > other


@given(st.floats(0, 1.7e308))
def test_every_duration_has_a_bucket_of_a_bounded_range(seconds: float) -> None:
    assert ZERO <= bucket(seconds) <= 1024


def test_powers_of_two_are_upper_bounds() -> None:
    for power in (-20, -1, 0, 1, 20):
        assert bucket(2.0**power) == 32 * power
        assert upper_bound(32 * power) == 2.0**power
        assert bucket(2.0**power * 1.0001) == 32 * power + 1


def test_nothing_and_next_to_nothing_is_zero() -> None:
    assert [value_of(bucket(seconds)) for seconds in (0.0, 1e-12, 5e-324)] == [0.0, 0.0, 0.0]


@given(st.lists(st.dictionaries(st.integers(-100, 100), st.integers(1, 10**9)), max_size=6))
def test_merging_adds_in_any_order(parts: list[dict[int, int]]) -> None:
    merged = merge_counts(parts)
    assert merged == merge_counts(reversed(parts))
    assert merged == merge_counts([merge_counts(parts[:2]), merge_counts(parts[2:])])
    assert list(merged) == sorted(merged)


def test_quantiles_are_nearest_ranks() -> None:
    hundred = [float(number) for number in range(1, 101)]
    for q, truth in ((0.0, 1), (0.07, 7), (0.5, 50), (0.99, 99), (1.0, 100)):
        found = quantile(histogram_of(hundred), q)
        assert found == pytest.approx(truth, rel=BOUND)


def test_an_empty_histogram_has_no_quantiles() -> None:
    assert quantile({}, 0.5) is None


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_share_outside_its_range_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="not in"):
        quantile({0: 1}, q)


@given(st.lists(st.floats(0, 1e10), max_size=600))
def test_many_at_once_are_counted_like_one_by_one(seconds: list[float]) -> None:
    found = histogram_of(seconds)
    assert list(found) == sorted(found)
    assert sum(found.values()) == len(seconds)
    exact = Counter(map(bucket, seconds))
    # A latency at the bound of two buckets may be put into either.
    apart = sum(abs(found.get(index, 0) - exact.get(index, 0)) for index in {*found, *exact})
    assert apart <= 2 * sum(map(near_a_bound, seconds))


def near_a_bound(seconds: float) -> bool:
    return seconds > 0 and abs(math.log2(seconds) * 32 - round(math.log2(seconds) * 32)) < 1e-9


@pytest.mark.parametrize("count", [255, 256, 1000])
def test_bounds_and_extremes_of_many(count: int) -> None:
    for value, index in ((0.0, ZERO), (1e-300, ZERO), (1.0, 0), (0.25, -64), (1e300, 1024), (0.1, bucket(0.1))):
        assert histogram_of([value] * count) == {index: count}
