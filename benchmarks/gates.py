"""How often a canary's tests err, and how soon they tell, beside the rules that other tools offer.

    python benchmarks/gates.py [ours others] [--rollouts 4000] [--small] [--json] [--check]

A rollout is looked at after every 100 requests of the canary, up to 20,000. Its share is 10 %, or 5 %, 25 % and 50 % on a ramp; 1 % of
the requests of the version beside it fail, and on the canary so many times as many. ``units``: 1,000 of them stay where their hash puts
them, with 20 requests a step of the ramp, and one of twenty fails half the time by itself; each unit's first error counts.

``ours``: the e-processes of ``mlops_core.deployment.evidence`` at the levels of a default rollout. ``others``, over the same counts: an
interval (100 requests) above twice the usual rate, once and five times; three intervals in a row with more than 1.5 times the rate beside
them; a test of two proportions at level 1 % and the test of Mann and Whitney over the intervals' rates at 1 %, at every look.

``--check`` exits 1 where a goal is missed. Takes three minutes; ``--small`` tries everything in seconds, and checks nothing.
"""

from __future__ import annotations

import itertools
import math
import sys
from typing import TYPE_CHECKING, Final

import numpy as np
from _lines import Line, answer, at_most, parser
from scipy.stats import mannwhitneyu, norm

from mlops_core.deployment.evidence import Share, against_harm, of_harm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

PARTS: Final = ("ours", "others")
LOOKS, EACH = 200, 100
RATE: Final = 0.01
LEVEL, PROMOTION = math.log(2 / 0.01), math.log(1 / 0.05)  # a default rollout has two tests that may take it back
MARGIN: Final = 1.5
SEED: Final = 20240501
CONSTANT: Final = np.full(LOOKS, 0.1)
RAMP: Final = np.repeat([0.05, 0.25, 0.5], [20, 20, LOOKS - 40])
DISTRIBUTIONS: Final = ("motadata-mlops-core", "numpy", "scipy")

if TYPE_CHECKING:
    Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
    Rule = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]


def counts(ratio: float, weights: NDArray[np.float64], rollouts: int) -> Counts:
    """Errors of canary and baseline by rollout and look."""
    rng = np.random.default_rng(SEED)
    beside = np.round(EACH * (1 - weights) / weights).astype(int)
    return rng.binomial(EACH, min(1.0, RATE * ratio), (rollouts, LOOKS)), rng.binomial(beside, RATE, (rollouts, LOOKS))


def looks(found: Counts, weights: NDArray[np.float64]) -> Iterator[Iterator[list[Share]]]:
    """Of each rollout what is known at each look: the events under each share."""
    borders = [0, *(np.flatnonzero(np.diff(weights)) + 1).tolist(), LOOKS]
    for canary, baseline in zip(*(np.cumsum(one, axis=1).tolist() for one in found), strict=True):

        def known(canary: list[int] = canary, baseline: list[int] = baseline) -> Iterator[list[Share]]:
            for look in range(LOOKS):
                ends = [(begin, min(end, look + 1)) for begin, end in itertools.pairwise(borders) if begin <= look]
                yield [
                    Share(float(weights[begin]), *(side[end - 1] - (side[begin - 1] if begin else 0) for side in (canary, baseline)))
                    for begin, end in ends
                ]

        yield known()


def sticky(rollouts: int) -> Iterator[Iterator[list[Share]]]:
    """The same of units, by their first errors; 20 looks a step."""
    rng, units, steps = np.random.default_rng(SEED), 1000, 20
    for _ in range(rollouts):
        place, left = rng.random(units), rng.exponential(size=units)
        rate = 20 * np.where(rng.random(units) < 0.05, 0.5, 0.001)
        known: list[list[Share]] = [[]]
        for weight in (0.05, 0.25, 0.5):
            at = np.ceil(steps * left / rate)  # the look at which it has failed
            sides = [np.bincount(at[side & (at <= steps)].astype(int), minlength=steps + 1) for side in (place < weight, place >= weight)]
            before = known[-1]
            known += [[*before, Share(weight, int(one), int(other))] for one, other in zip(*map(np.cumsum, sides), strict=True)]
            left = np.where(at <= steps, np.inf, left - rate)
        yield iter(known)


def stops(rollouts: Iterator[Iterator[list[Share]]], told: Callable[[list[Share]], bool]) -> list[int | None]:
    """After how many of its requests each canary was stopped; None: never."""
    return [next((EACH * (look + 1) for look, shares in enumerate(known) if told(shares)), None) for known in rollouts]


def harmed(shares: list[Share]) -> bool:
    """What rolls a canary back."""
    return of_harm(shares) >= LEVEL


def acquitted(shares: list[Share]) -> bool:
    """What promotes it."""
    return against_harm(shares, MARGIN) >= PROMOTION


def share(found: Sequence[int | None]) -> float:
    """Of those that were stopped."""
    return sum(one is not None for one in found) / len(found)


def upper(found: Sequence[int | None]) -> float:
    """The one-sided 95 % upper bound of that share (Wilson)."""
    n, p, z = len(found), share(found), float(norm.ppf(0.95))
    return (p + z**2 / (2 * n) + z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)


def median(found: Sequence[int | None]) -> float:
    """Requests, never being more than any number."""
    return float(np.median([math.inf if one is None else one for one in found]))


def ours(rollouts: int) -> Iterator[Line]:
    """The tests of a default rollout, and their goals."""

    def run(ratio: float, weights: NDArray[np.float64], told: Callable[[list[Share]], bool]) -> list[int | None]:
        return stops(looks(counts(ratio, weights, rollouts), weights), told)

    healthy = {
        "share 10 %": run(1, CONSTANT, harmed),
        "on a ramp": run(1, RAMP, harmed),
        "units on a ramp": stops(sticky(rollouts), harmed),
    }
    for name, found in healthy.items():
        yield at_most(f"healthy, {name}: rolled back, 95 % upper bound", 100 * upper(found), "%", 1.0, share=share(found))
    for ratio, most in ((2, 1600), (5, 300)):
        yield at_most(f"{ratio} times the errors: requests until rolled back, median", median(run(ratio, CONSTANT, harmed)), "", most)
    missed = 1 - share(run(2, RAMP, harmed))
    yield at_most("2 times the errors, on a ramp: not caught", 100 * missed, "%", 5.0)
    yield at_most("1.5 times the errors: promoted", 100 * share(run(1.5, CONSTANT, acquitted)), "%", 5.0)


def above_twice(times: int) -> Rule:
    """So many intervals above twice the usual rate."""
    return lambda canary, _: np.cumsum(canary > 2 * RATE * EACH, axis=1) >= times


def above_neighbour(canary: NDArray[np.int64], baseline: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Three intervals in a row with more than 1.5 times the rate beside them."""
    above = canary / EACH > MARGIN * baseline / (9 * EACH)
    return np.pad(above[:, 2:] & above[:, 1:-1] & above[:, :-2], ((0, 0), (2, 0)))


def proportions(canary: NDArray[np.int64], baseline: NDArray[np.int64]) -> NDArray[np.bool_]:
    """A one-sided test of two proportions at level 1 %, at every look."""
    n = EACH * np.arange(1, LOOKS + 1)
    x, y = np.cumsum(canary, axis=1), np.cumsum(baseline, axis=1)
    pooled = (x + y) / (10 * n)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / n + 1 / (9 * n)), 1e-12))
    found: NDArray[np.bool_] = (x / n - y / (9 * n)) / spread > norm.ppf(0.99)
    return found


def ranks(canary: NDArray[np.int64], baseline: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The test of Mann and Whitney at level 1 %, over the rates of the intervals so far."""
    found = np.zeros(canary.shape, dtype=bool)
    for look in range(4, LOOKS):
        sides = canary[:, : look + 1] / EACH, baseline[:, : look + 1] / (9 * EACH)
        found[:, look] = mannwhitneyu(*sides, alternative="greater", axis=1, method="asymptotic").pvalue < 0.01
    return found


OTHERS: Final[dict[str, Rule]] = {
    "an interval above twice the rate": above_twice(1),
    "five intervals above twice the rate": above_twice(5),
    "three intervals in a row above 1.5 times their neighbour": above_neighbour,
    "two proportions at 1 %, at every look": proportions,
    "Mann-Whitney at 1 %, at every look": ranks,
}


def others(rollouts: int) -> Iterator[Line]:
    """What rules without a correction for looking do over the same counts."""
    healthy, worse = (counts(ratio, CONSTANT, rollouts) for ratio in (1, 2))
    for name, rule in OTHERS.items():
        taken = [first(one) for one in rule(*healthy)]
        caught = [first(one) for one in rule(*worse)]
        told = f"healthy rolled back {100 * share(taken):5.1f} %, 2 times the errors caught after {median(caught):g} (median)"
        yield Line(name, told, data={"healthy": share(taken), "median": median(caught)})


def first(stopped: NDArray[np.bool_]) -> int | None:
    """Requests until the first look that stops."""
    return EACH * (int(stopped.argmax()) + 1) if stopped.any() else None


def main() -> int:
    """Simulate and print; 0 where every goal holds or none is asked for."""
    options = parser(__doc__, PARTS)
    options.add_argument("--rollouts", type=int, default=4000, help="of each kind (4000)")
    asked = options.parse_args()
    rollouts = 20 if asked.small else asked.rollouts
    sides = {"ours": ours, "others": others}
    return answer(asked, [line for part in asked.parts for line in sides[part](rollouts)], DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
