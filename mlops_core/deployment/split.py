"""How an A/B test ends: what was named beforehand, at the time that was named.

Whether one version is better is decided once, at the end, by exact tests of two versions each. Of the errors that both had together, each
is a version's with the probability of its share, whatever makes requests fail, so that one has so few by chance with the binomial
probability. Of other events (requests slower than both's common quantile, wrong predictions) it has so few, if both have them alike, with
the hypergeometric probability (Fisher 1935, Journal of the Royal Statistical Society 98; for quantiles the test of Mood 1950,
Introduction to the Theory of Statistics). A version is the best if it has fewer than each of the k - 1 others, every time at level
alpha / k: so a winner is named where there is none, or the wrong one, with probability alpha at most (Bonferroni). Assumed is that
requests are assigned by chance, that one event makes no other more likely, and that the end was not moved because of what was seen.

Where routing keeps a unit on one version, errors do make others more likely: so only the first error of each unit counts. Once most units
have failed, their first errors tell versions apart no more, so nobody takes all that has more errors counted one by one either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from mlops_core.clock import aware
from mlops_core.deployment.counts import MARGIN, Span, check_countable, quality_of, window_of
from mlops_core.deployment.endpoint import EndpointState, create, replaced
from mlops_core.exceptions import DeploymentError, checks_input
from mlops_core.records import Record, SplitTest
from mlops_core.records.histogram import merge_counts

if TYPE_CHECKING:
    from mlops_core.deployment.desk import Desk
    from mlops_core.records import Deployment, Window

__all__ = ["ALPHA", "METRICS", "Finding", "best", "by_version", "check_end", "finish", "is_due"]

ALPHA: Final = 0.05
"""The probability of naming a winner where there is none."""
METRICS: Final = ("error_rate", "p50_latency", "p95_latency", "p99_latency", "live.accuracy")
"""What a test may be decided by. All but the last have to be low."""

_ACCURACY: Final = METRICS[-1]
_TAILS: Final = {"p50_latency": 0.5, "p95_latency": 0.95, "p99_latency": 0.99}
_NEGLIGIBLE: Final = 1e-18
_LATE, _LATE_SHARE = timedelta(minutes=1), 0.05  # so long after its end, or its length's share, may a deployer be asked that keeps no times
_KEPT: Final = "the A/B test has ended: the shares are kept"


@frozen
class Finding(Record):
    """The version that takes all, none to keep the shares; why, and the p-value that decided."""

    winner: str | None
    reason: str
    metrics: Mapping[str, float] = field(factory=dict)


def by_version(desk: Desk, weights: dict[str, float]) -> dict[str, float]:
    """Weights by registered version, of weights by version or ``@alias``."""
    named: dict[str, str] = {}
    for name in weights:
        version = desk.version(name).version
        if version in named:
            raise DeploymentError(f"weights: {named[version]} and {name} are both version {version} - give each version once")
        named[version] = name
    return {version: weights[name] for version, name in named.items()}


@checks_input
def check_end(desk: Desk, weights: Mapping[str, float], until: Any, then: Any, metric: Any) -> SplitTest | None:
    """How a test is to end, of what a person gave; None: it has no end.

    Raises:
        DeploymentError: It cannot end so.
    """
    if until is None:
        if then != "hold" or metric is not None:
            raise DeploymentError("until: a test that ends somehow needs an end - give a time, or a duration such as timedelta(days=7)")
        return None
    if len(weights) < 2:  # noqa: PLR2004
        raise DeploymentError("until: one version is no test - give weights to several")
    now = desk.stack.clock.now()
    ends = now + until if isinstance(until, timedelta) else aware(until, "until", DeploymentError)
    if ends <= now:
        raise DeploymentError(f"until: {ends:%Y-%m-%d %H:%M:%S} UTC has passed - give a time that is yet to come")
    if then not in {"hold", "best"}:
        version = desk.version(then).version
        if version not in weights:
            raise DeploymentError(f"then: version {version} is not in the test - name one of {', '.join(weights)}, 'best' or 'hold'")
        then = version
    if metric is not None and then != "best":
        raise DeploymentError("metric: nothing is decided by it - leave it out, or say then='best'")
    return SplitTest(ends, then, _metric(desk, metric) if then == "best" else "")


def _metric(desk: Desk, metric: Any) -> str:
    name = METRICS[0] if metric is None else metric
    if name not in METRICS:
        raise DeploymentError(f"metric: {str(name)[:60]!r} decides no test - name one of {', '.join(METRICS)}")
    if "counters" in desk.deployer.capabilities and name != METRICS[0]:
        raise DeploymentError(f"metric: the deployer of {desk.endpoint.environment} only counts requests and errors - name {METRICS[0]}")
    check_countable(desk, {})
    if name == _ACCURACY:
        _check_outcomes(desk)
    return str(name)


def _check_outcomes(desk: Desk) -> None:
    truth = desk.stack.settings.monitoring.ground_truth
    if truth is None or truth.rate <= 0:
        raise DeploymentError("metric: no outcomes are kept - set monitoring.ground_truth.rate, or name another metric")
    if truth.task == "regression":
        others = ", ".join(METRICS[:-1])
        raise DeploymentError(f"metric: monitoring.ground_truth.task is regression, and numbers have no accuracy - name one of {others}")


def is_due(state: EndpointState, now: datetime) -> bool:
    """Whether the live deployment is a test that is to end now; it waits for a deployment that is on its way."""
    live = state.live
    test = None if live is None else live.test
    return test is not None and test.ended is None and test.ends <= now and state.open is None


def finish(desk: Desk, state: EndpointState, now: datetime) -> EndpointState:
    """End the live test if it is due: one entry says how it ended and, if one version takes all, begins its deployment."""
    live = state.live
    if live is None or live.test is None or not is_due(state, now):
        return state
    found = _decide(desk, live, live.test, now)
    ended = evolve(live, test=evolve(live.test, ended=now, verdict=found.reason, metrics=found.metrics), reason=found.reason)

    def change(before: EndpointState) -> EndpointState:
        if before.find(live.number) != live or before.open is not None:
            return before
        after = replaced(before, ended)
        if found.winner is None:
            return after
        return create(after, desk.endpoint, {found.winner: 1.0}, now=now, reason=f"{live.deployment_id} ended: {found.reason}")

    return desk.ledger.change(change)


def _decide(desk: Desk, live: Deployment, test: SplitTest, now: datetime) -> Finding:
    if test.then == "hold":
        return Finding(None, f"{_KEPT}, as was named")
    if test.then != "best":
        return Finding(test.then, f"{test.then} takes all, as was named")
    started = test.started or live.created
    late = test.ends + max(_LATE, (test.ends - started) * _LATE_SHARE)
    if "counters" in desk.deployer.capabilities and now > late:
        return Finding(None, f"{_KEPT}: counted too late, at {now:%Y-%m-%d %H:%M:%S} UTC, to leave out what came after the end")
    span = Span(started - MARGIN, test.ends, live.revision)
    seen = desk.deployer.observe(desk.endpoint, since=live.revision)
    windows = {one.version: window_of(desk, seen, {one.version}, span) for one in live.variants}
    if test.metric == _ACCURACY:
        windows = {name: evolve(one, quality=quality_of(desk, name, started, test.ends)) for name, one in windows.items()}
    return best(windows, test.metric, {one.version: one.weight for one in live.variants})


def best(windows: Mapping[str, Window], metric: str, weights: Mapping[str, float]) -> Finding:
    """The version that is proved to be the best by a metric, if one is, and is not proved to fail more often than another.

    ``weights`` are the versions' shares of the requests.
    """
    needed = ALPHA / len(windows)

    def failing(mine: str, other: str) -> float:
        events, others = (one.errors - one.repeated_errors for one in (windows[mine], windows[other]))
        both = weights[mine] + weights[other]
        return _rarer(events, others, weights[mine] / both) if both else 1.0

    def behind(mine: str, other: str) -> float:
        return failing(mine, other) if metric == METRICS[0] else _fewer(*_events(metric, windows[mine], windows[other]))

    def worse(mine: str, other: str) -> bool:
        first, second = windows[other], windows[mine]
        return min(failing(other, mine), _fewer(first.errors, first.total, second.errors, second.total)) <= needed

    found = {version: max(behind(version, name) for name in windows if name != version) for version in windows}
    winner = min(found, key=lambda version: found[version])
    told, metrics = f"p-value {found[winner]:.2g}, {needed:.2g} needed", {"p_value": found[winner]}
    if found[winner] > needed:
        return Finding(None, f"{_KEPT}, since no {metric} is proved to be the best ({told})", metrics)
    for name in windows:
        if name != winner and worse(winner, name):  # what fails is quick, and has no outcome
            return Finding(None, f"{_KEPT}, since {winner}, whose {metric} is the best ({told}), has more errors than {name}", metrics)
    return Finding(winner, f"{winner} takes all: its {metric} is the best ({told})", metrics)


def _events(metric: str, mine: Window, other: Window) -> tuple[int, int, int, int]:
    """What should be rare: of mine, of how many; of the other, of how many."""
    if metric == _ACCURACY:
        pairs = [(one.quality.labelled - one.quality.correct, one.quality.labelled) for one in (mine, other)]
        return *pairs[0], *pairs[1]
    bound = _common(merge_counts([mine.histogram, other.histogram]), _TAILS[metric])
    slow = [sum(count for index, count in one.histogram.items() if index > bound) for one in (mine, other)]
    return slow[0], sum(mine.histogram.values()), slow[1], sum(other.histogram.values())


def _common(histogram: Mapping[int, int], share: float) -> int:
    """The bucket below and in which so large a share of all lies."""
    wanted, reached = share * sum(histogram.values()), 0
    for index, count in sorted(histogram.items()):
        reached += count
        if reached >= wanted:
            return index
    return 0


def _fewer(events: int, total: int, others: int, other_total: int) -> float:
    """The probability of so few events, or fewer, among ``total`` if they fall on all requests alike; 1 where they are not fewer."""
    if not total or not other_total or events * other_total >= others * total:
        return 1.0
    every = events + others
    term = math.exp(_choose(total, events) + _choose(other_total, others) - _choose(total + other_total, every))
    found, count = 0.0, events
    while term > found * _NEGLIGIBLE:
        found += term
        rest = other_total - every + count
        if count == 0 or rest <= 0:
            break
        term *= count * rest / ((every - count + 1) * (total - count + 1))
        count -= 1
    return min(found, 1.0)


def _rarer(events: int, others: int, share: float) -> float:
    """The probability of so few of these events, or fewer, if each is one with probability ``share``; 1 where they are not fewer."""
    every = events + others
    if not 0 < share < 1 or events >= every * share:
        return 1.0
    term = math.exp(_choose(every, events) + events * math.log(share) + others * math.log1p(-share))
    found, count = 0.0, events
    while term > found * _NEGLIGIBLE:
        found += term
        if count == 0:
            break
        term *= count * (1 - share) / ((every - count + 1) * share)
        count -= 1
    return min(found, 1.0)


def _choose(total: int, count: int) -> float:
    """The logarithm of the number of ways to choose."""
    return math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
