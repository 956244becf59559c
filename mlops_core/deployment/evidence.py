"""What counts of a rollout prove, at any number of looks: e-processes over the events of a canary and of the deployment beside it.

An event is an error, or a request slower than a bound. All values are natural logarithms of e-values: under its null hypothesis a process
exceeds log(1 / alpha) at any look with probability alpha at most (Ville 1939; Ramdas, Grünwald, Vovk & Shafer 2023, Statistical Science
38).

Whether a canary is worse is told by whose the events are, given that they occurred: of those under one weight w, each is the canary's with
probability w t / (1 - w + w t), if its rate is t times the baseline's. No rate has to be known, weights may change between routing
revisions, and rates may change with time as long as they do on both sides. Assumed is that requests are assigned by chance, and that
one event makes no other more likely.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Share", "against_harm", "against_rate", "of_excess", "of_harm"]

_WORSE: Final = {1.5: 1 / 16, 2.0: 11 / 16, 5.0: 3 / 16, 10.0: 1 / 16}
"""Ratios that a worse canary may have, with their prior weights: the mass lies where time is lost, at 2; above, a few errors tell."""

_BETTER: Final = {1.0: 0.2, 0.8: 0.2, 0.5: 0.2, 0.2: 0.2, 0.0: 0.2}
"""Ratios that a good canary may have."""

_WITHIN: Final = {0.0: 0.8, 0.5: 0.1, 0.8: 0.1}
"""Shares of a bound that a good rate may be: the mass lies on none at all, so that a canary without events passes soon."""

_EXCESS: Final = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""Multiples of a bound that a bad rate may be."""


@frozen
class Share:
    """Events under one routing revision, in which a request was the canary's with probability ``weight``."""

    weight: float
    canary: int
    baseline: int


def of_harm(shares: Sequence[Share]) -> float:
    """That the canary has more events than the baseline; the null: its rate is no higher."""
    null = _ratio(shares, 1.0)
    return _mixture([(prior, _ratio(shares, ratio) - null) for ratio, prior in _WORSE.items()])


def against_harm(shares: Sequence[Share], margin: float) -> float:
    """That the canary's rate is below ``margin`` times the baseline's; the null: it is that, or higher."""
    null = _ratio(shares, margin)
    return _mixture([(prior, _ratio(shares, ratio) - null) for ratio, prior in _BETTER.items()])


def against_rate(events: int, total: int, bound: float) -> float:
    """That the rate is below ``bound``; the null: it is that, or higher. Without events it grows by -log(1 - bound) a request."""
    if bound <= 0:
        return 0.0  # no rate is below
    return _mixture([(prior, _rate(events, total, bound, share * bound)) for share, prior in _WITHIN.items()])


def of_excess(events: int, total: int, bound: float) -> float:
    """That the rate is above ``bound``; the null: it is that, or lower."""
    if bound >= 1:
        return 0.0  # no rate is above
    rates = sorted({min(times * bound, (1 + bound) / 2) for times in _EXCESS}) if bound else [0.001, 0.01, 0.1, 0.5]
    return _mixture([(1 / len(rates), _rate(events, total, bound, rate)) for rate in rates])


def _ratio(shares: Sequence[Share], ratio: float) -> float:
    """The log-likelihood of whose the events are, but for what all ratios have in common."""
    found = 0.0
    for one in shares:
        if 0 < one.weight < 1:  # where only one side is routed, every event is its
            found += one.canary * _log(ratio) if one.canary else 0.0
            found -= (one.canary + one.baseline) * math.log(1 - one.weight + one.weight * ratio)
    return found


def _rate(events: int, total: int, null: float, rate: float) -> float:
    """The log of the likelihood ratio of two rates."""
    found = _times(events, rate, null), _times(total - events, 1 - rate, 1 - null)
    return math.inf if math.inf in found else sum(found)


def _times(count: int, chance: float, null: float) -> float:
    """What so many outcomes of one kind add; what the null holds to be impossible refutes it."""
    if not count:
        return 0.0
    return math.inf if null == 0 else count * (_log(chance) - math.log(null))


def _mixture(terms: Sequence[tuple[float, float]]) -> float:
    """The log of the weighted mean of what these are logs of."""
    largest = max(value for _, value in terms)
    if math.isinf(largest):
        return largest
    return largest + math.log(math.fsum(prior * math.exp(value - largest) for prior, value in terms))


def _log(value: float) -> float:
    return math.log(value) if value else -math.inf
