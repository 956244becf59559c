"""E-processes of a rollout: how often they err, at any number of looks, and how soon they tell."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mlops_core.deployment.evidence import Share, against_harm, against_rate, of_excess, of_harm

ROLLOUTS = 2000
LOOKS = 200  # every 100 requests of the canary, up to 20,000
RATE = 0.01
LEVEL = math.log(2 / 0.01)  # a default rollout has two tests
PROMOTION = math.log(1 / 0.05)
Weights = Callable[[int], float]


def constant(_: int) -> float:
    return 0.1


def ramp(look: int) -> float:
    """5 %, 25 %, 50 %, a while each."""
    return (0.05, 0.25, 0.5)[min(look // 20, 2)]


def rollouts(
    ratio: float,
    stop: Callable[[list[Share], int, int], bool],
    *,
    count: int = ROLLOUTS,
    weights: Weights = constant,
    rates: Callable[[int], float] = lambda _: RATE,
    seed: int = 20240501,
) -> list[int | None]:
    """After how many of its requests each canary was stopped at; None: never. Events under one weight are one share."""
    rng = np.random.default_rng(seed)
    found: list[int | None] = []
    w = [weights(look) for look in range(LOOKS)]
    p = np.array([rates(look) for look in range(LOOKS)])
    others = np.array([round(100 * (1 - weight) / weight) for weight in w])
    for _ in range(count):
        canary = rng.binomial(100, np.minimum(1, p * ratio)).tolist()
        baseline = rng.binomial(others, p).tolist()
        sums: dict[float, list[int]] = {}
        events = 0
        stopped = None
        for look in range(LOOKS):
            one = sums.setdefault(w[look], [0, 0])
            one[0] += canary[look]
            one[1] += baseline[look]
            events += canary[look]
            if (canary[look] or baseline[look] or look % 10 == 0) and stop(
                [Share(weight, *counts) for weight, counts in sums.items()], events, 100 * (look + 1)
            ):
                stopped = 100 * (look + 1)
                break
        found.append(stopped)
    return found


def share_of(found: list[int | None]) -> float:
    return sum(one is not None for one in found) / len(found)


def upper(found: list[int | None]) -> float:
    """The one-sided 95 % upper bound of a share (Wilson)."""
    n, share, z = len(found), share_of(found), 1.645
    return (share + z**2 / (2 * n) + z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)


def harmed(shares: list[Share], events: int, total: int) -> bool:
    del events, total
    return of_harm(shares) >= LEVEL


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("weights", "rates"),
    [
        (constant, lambda _: RATE),
        (ramp, lambda _: RATE),
        (ramp, lambda look: RATE * (1 + look % 7)),  # both sides are better and worse together
    ],
    ids=["constant", "ramp", "restless"],
)
def test_a_healthy_canary_is_rolled_back_as_rarely_as_promised(weights: Weights, rates: Callable[[int], float]) -> None:
    assert upper(rollouts(1.0, harmed, weights=weights, rates=rates)) <= 0.01


@pytest.mark.simulation
def test_a_worse_canary_is_caught_soon() -> None:
    twice, five = (rollouts(ratio, harmed, count=400) for ratio in (2.0, 5.0))
    assert share_of(twice) == share_of(five) == 1
    assert np.median([one for one in twice if one is not None]) <= 1600
    assert np.median([one for one in five if one is not None]) <= 300


@pytest.mark.simulation
def test_a_worse_canary_is_caught_on_a_ramp() -> None:
    assert share_of(rollouts(2.0, harmed, count=400, weights=ramp)) >= 0.95


@pytest.mark.simulation
def test_a_better_canary_is_never_harm() -> None:
    assert share_of(rollouts(0.5, harmed, count=400)) == 0


def sticky_rollouts(failing: float, count: int, seed: int = 20240501) -> Iterator[tuple[list[list[Share]], list[Share]]]:
    """Rollouts of 1,000 units that stay where they are until a share of 5 %, 25 % and 50 % moves them, with 20 requests each in a step.

    One unit of twenty fails half the time, on the canary such a part of them; the others one time in a thousand. Answers what is known at
    20 looks a step by each unit's first error, and at the end by all errors.
    """
    rng, units, looks, shares = np.random.default_rng(seed), 1000, 20, (0.05, 0.25, 0.5)
    for _ in range(count):
        place, left = rng.random(units), rng.exponential(size=units)
        luck = rng.random(units)
        known: list[list[Share]] = []
        before, every = list[Share](), list[Share]()
        for weight in shares:
            canary = place < weight
            step = 20 * np.where(luck < np.where(canary, failing, 0.05), 0.5, 0.001)
            failed = rng.poisson(step)
            every.append(Share(weight, int(failed[canary].sum()), int(failed[~canary].sum())))
            first = np.ceil(looks * left / step)  # the look at which it has failed; a unit that has, never fails for the first time again
            sides = [np.cumsum(np.bincount(first[side & (first <= looks)].astype(int), minlength=looks + 1)) for side in (canary, ~canary)]
            known += [[*before, Share(weight, int(mine), int(others))] for mine, others in zip(*sides, strict=True)]
            before = known[-1]
            left = np.where(first <= looks, np.inf, left - step)
        yield known, every


@pytest.mark.simulation
def test_of_units_that_fail_by_themselves_the_first_error_tells_whether_a_canary_is_worse() -> None:
    """What the reference says: counted one by one, their errors take healthy canaries back."""
    found = list(sticky_rollouts(0.05, ROLLOUTS))
    taken_back = [1 if any(of_harm(shares) >= LEVEL for shares in known) else None for known, _ in found]
    assert upper(taken_back) <= 0.01
    assert sum(of_harm(every) >= LEVEL for _, every in found) / ROLLOUTS > 0.1
    worse = [any(of_harm(shares) >= LEVEL for shares in known) for known, _ in sticky_rollouts(0.1, 200)]
    assert sum(worse) / 200 > 0.6


@pytest.mark.simulation
def test_units_that_are_slow_by_themselves_take_more_canaries_back_than_promised() -> None:
    """What the explanation says of slow requests, which are counted one by one, where four tests share the probability."""
    rng, level, taken_back = np.random.default_rng(20240501), math.log(4 / 0.01), 0
    for _ in range(500):
        place, slow = rng.random(1000), rng.random(1000) < 0.05
        before = list[Share]()
        known = list[list[Share]]()
        for weight in (0.05, 0.25, 0.5):
            events = rng.poisson(np.where(slow, 0.5, 0.001), (20, 1000)).cumsum(axis=0)  # a request of each unit between two looks
            known += [[*before, Share(weight, int(one[place < weight].sum()), int(one[place >= weight].sum()))] for one in events]
            before = known[-1]
        taken_back += any(of_harm(shares) >= level for shares in known)
    assert taken_back / 500 == pytest.approx(0.22, abs=0.06)


@pytest.mark.simulation
def test_a_worse_canary_is_promoted_as_rarely_as_promised() -> None:
    found = rollouts(1.5, lambda shares, *_: against_harm(shares, 1.5) >= PROMOTION)
    assert upper(found) <= 0.05


@pytest.mark.simulation
def test_an_equal_canary_is_promoted_in_the_end() -> None:
    assert share_of(rollouts(1.0, lambda shares, *_: against_harm(shares, 1.5) >= PROMOTION, count=300)) >= 0.95


@pytest.mark.simulation
def test_a_rate_at_its_bound_is_told_to_be_neither_below_nor_above() -> None:
    below, above = functools.cache(against_rate), functools.cache(of_excess)  # many rollouts pass the same counts
    assert upper(rollouts(1.0, lambda _, events, total: below(events, total, RATE) >= PROMOTION)) <= 0.05
    assert upper(rollouts(1.0, lambda _, events, total: above(events, total, RATE) >= LEVEL)) <= 0.01


@pytest.mark.simulation
def test_rates_away_from_the_bound_are_told() -> None:
    assert share_of(rollouts(0.5, lambda _, events, total: against_rate(events, total, RATE) >= PROMOTION, count=300)) >= 0.95
    assert share_of(rollouts(3.0, lambda _, events, total: of_excess(events, total, RATE) >= LEVEL, count=300)) == 1


def test_a_canary_without_any_error_passes_a_bound_of_one_percent_soon() -> None:
    needed = next(total for total in range(1, 1000) if against_rate(0, total, 0.01) >= PROMOTION)
    assert 298 <= needed <= 330  # 298: what the best test of this one alternative needs


def test_a_total_outage_is_told_within_a_few_requests() -> None:
    assert next(total for total in range(1, 99) if of_excess(total, total, 0.05) >= LEVEL) <= 5


def test_a_canary_without_errors_is_no_worse_as_soon_as_the_other_side_has_some() -> None:
    assert against_harm([Share(0.1, 0, 40)], 1.5) > PROMOTION
    assert of_harm([Share(0.1, 0, 40)]) < 0


@pytest.mark.parametrize("shares", [[], [Share(0.1, 0, 0)], [Share(0.0, 3, 9)], [Share(1.0, 9, 0)]])
def test_without_events_on_two_sides_nothing_is_known(shares: list[Share]) -> None:
    assert of_harm(shares) == pytest.approx(0)
    assert against_harm(shares, 1.5) == pytest.approx(0)


def test_extremes_are_numbers() -> None:
    assert against_rate(0, 0, 0.01) == pytest.approx(0)
    assert of_excess(0, 0, 0.01) == pytest.approx(0)
    assert of_excess(1, 1, 0.0) == math.inf
    assert of_excess(0, 1000, 0.0) < 0
    assert against_rate(5, 10, 1.0) == math.inf
    assert against_rate(5, 10, 0.0) == against_rate(0, 10, 0.0) == 0
    assert of_excess(5, 10, 1.0) == 0
    assert against_rate(10, 10, 1.0) < 0
    assert of_excess(10, 10, 1.0) == 0
    assert math.isfinite(of_excess(10**6, 10**6, 0.01))
    assert math.isfinite(of_harm([Share(0.1, 10**6, 10**6)]))


def test_revisions_add_up_in_any_order() -> None:
    parts = [Share(0.05, 3, 20), Share(0.25, 9, 21)]
    assert of_harm(parts) == pytest.approx(of_harm(parts[::-1]))
    assert of_harm([Share(0.1, 1, 2), Share(0.1, 3, 4)]) == pytest.approx(of_harm([Share(0.1, 4, 6)]))
