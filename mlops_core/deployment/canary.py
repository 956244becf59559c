"""When a canary goes on, ends well or ends badly: pure functions over counts.

``judge`` says what the counts prove (see ``mlops_core.deployment.evidence``), ``pace`` what to do about it now. Both may be asked at any
number of looks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from mlops_core.deployment.evidence import Share, against_harm, against_rate, of_excess, of_harm
from mlops_core.exceptions import DeploymentError
from mlops_core.records import Record, Rollout, VariantCount, Window
from mlops_core.records.histogram import bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.config.settings import CanarySettings

__all__ = [
    "BOUNDS",
    "RATES",
    "Judgement",
    "Look",
    "Move",
    "Verdict",
    "check_plan",
    "judge",
    "looked",
    "pace",
    "processes",
    "rollout_of",
    "thresholds",
]

BOUNDS: Final = ("error_rate", "success_rate", "avg_latency", "p50_latency", "p95_latency", "p99_latency")
"""Metrics that an ``slo`` may bound: the success rate from below, the others from above; rates are fractions, latencies seconds."""
RATES: Final = BOUNDS[:2]
"""Those that count errors: a canary is always held to one."""


_WORSE: Final = "evidence.worse"
_ABOVE: Final = "evidence.above."
_MEAN: Final = "avg_latency"
_OUTAGE, _UNITS = 20, 3  # requests of a step, and units that failed, below which an outage may be one client's
_MOST_REPEATED: Final = 0.1  # of errors: where they are more, most units that fail at all have failed, on whichever version
_TAILS: Final = {"p50_latency": 0.5, "p95_latency": 0.05, "p99_latency": 0.01}
_PROVED: Final = math.log(1 / 0.05)
_MOST: Final = 1000.0


class Verdict(StrEnum):
    """What the counts say."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    CONTINUE = "continue"


class Move(StrEnum):
    """What to do now."""

    WAIT = "wait"
    STEP = "step"
    PROMOTE = "promote"
    PAUSE = "pause"
    ROLLBACK = "rollback"


@frozen
class Look(Record):
    """What is known at one moment: everything since the rollout began, so that late counts come in once.

    ``step_requests`` are the canary's requests since the step in force began, ``crashes`` the serving processes that ended unexpectedly.
    """

    at: datetime
    canary: Window = field(factory=Window)
    baseline: Window = field(factory=Window)
    step_requests: int = 0
    crashes: int = 0


@frozen
class Judgement(Record):
    """A verdict, its reason in one line, and the evidence: natural logarithms of e-values by name. ``held``: it must go no further."""

    verdict: Verdict
    reason: str
    evidence: Mapping[str, float] = field(factory=dict)
    held: bool = False


def check_plan(plan: CanarySettings) -> None:
    """Refuse a plan that cannot be followed.

    Raises:
        DeploymentError: Naming the key.
    """
    steps = plan.steps
    rising = all(before < after for before, after in itertools.pairwise(steps))
    if not steps or not rising or steps[0] <= 0 or steps[-1] != 1:
        raise DeploymentError(f"canary.steps: {list(steps)} - give rising fractions that end with 1.0, such as 0.05, 0.25, 1.0")
    if plan.step_time.total_seconds() < 0 or plan.deadline.total_seconds() <= 0:
        raise DeploymentError("canary: step_time and deadline are durations that have yet to pass - give positive ones")
    if not 0 < plan.alpha < 1:
        raise DeploymentError(f"canary.alpha: {plan.alpha:g} is no probability - give one such as 0.01")
    if not 1 < plan.margin < math.inf:
        raise DeploymentError(f"canary.margin: {plan.margin:g} rules nothing out - give a ratio above 1, such as 1.5")
    if plan.min_requests < 1:
        raise DeploymentError(f"canary.min_requests: {plan.min_requests} - a step needs at least 1 request to be judged by")
    _check_slo(plan.slo)


def _check_slo(slo: Mapping[str, Any]) -> None:
    for metric, bound in slo.items():
        if metric not in BOUNDS:
            raise DeploymentError(f"canary.slo: unknown metric {metric!r} - known are {', '.join(BOUNDS)}")
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound) or bound < 0:
            raise DeploymentError(f"canary.slo.{metric}: {bound!r} is no bound - give a number such as 0.01")
        if metric in RATES and bound > 1:
            raise DeploymentError(f"canary.slo.{metric}: {bound:g} is no fraction - 1 % is written 0.01")


def rollout_of(plan: CanarySettings, most_errors: float) -> Rollout:
    """A plan that can be followed, as it is journaled; errors are always bounded, if by nothing else then by ``most_errors``."""
    implied = not plan.slo.keys() & set(RATES)
    slo = {**plan.slo, **({"error_rate": most_errors} if implied else {})}
    given = plan.steps, plan.step_time, plan.min_requests, plan.deadline, plan.at_deadline, slo
    return Rollout(*given, implied=implied, alpha=plan.alpha, margin=plan.margin)


def judge(look: Look, plan: Rollout) -> Judgement:
    """Hold a canary against the deployment beside it and the objectives of its plan, at any number of looks.

    ROLLBACK, which a canary that is no worse and keeps its objectives meets with probability ``plan.alpha`` at most: it has more errors, or
    more requests slower than a quantile's bound, than the deployment beside it, or it breaks a rate or a quantile. So does one whose mean
    latency is above its bound after ``min_requests``, any that fails most of a step's requests while the deployment beside it does not, and
    any while a serving process died: what was in flight in it was never counted.
    PROMOTE: its errors are fewer than ``plan.margin`` times those beside it, or within an objective that was chosen for it, each of which
    is wrong with probability 0.05 at most; and no latency is above its bound now. Anything else is CONTINUE.

    Of a unit that routing keeps on one version only the first error of the rollout speaks against it: others follow from that one. Once
    many units have failed, their first errors tell versions apart no more: so where errors that are counted one by one speak against it, it
    goes no further by itself, and where more than a tenth are repeated, comparing errors promotes nobody.
    """
    if look.crashes:
        return Judgement(Verdict.ROLLBACK, f"{processes(look.crashes)} ended unexpectedly while it took requests")
    found = {name: _finite(weigh(look)) for name, weigh in _charges(plan).items()}
    needed = thresholds(plan)
    for name, value in found.items():
        if value >= needed[name]:
            return Judgement(Verdict.ROLLBACK, _charged(name, look, plan), found)
    if said := _outage(look, plan):
        return Judgement(Verdict.ROLLBACK, said, found)
    if look.canary.repeated_errors and any(weigh(look) >= needed[name] for name, weigh in _charges(plan, _all_errors).items()):
        return Judgement(Verdict.CONTINUE, f"{_told(look.canary)}: of few units, so it goes no further by itself", found, held=True)
    return _acquit(look, plan, found)


def looked(look: Look, plan: Rollout) -> tuple[Rollout, Judgement]:
    """The verdict, and the plan with what was found at this look."""
    judgement = judge(look, plan)
    said = {metric: value for metric in (*plan.slo, "error_rate") if (value := look.canary.metric(metric)) is not None}
    return evolve(plan, verdict=str(judgement.verdict), metrics={**said, **judgement.evidence}), judgement


def thresholds(plan: Rollout) -> dict[str, float]:
    """The evidence that decides, by the names in ``Rollout.metrics``: the natural logarithms of e-values."""
    charges = _charges(plan)
    acquittals = ["evidence.no_worse", *(["evidence.within"] if not plan.implied and plan.slo.keys() & set(RATES) else [])]
    return {**dict.fromkeys(charges, math.log(len(charges) / plan.alpha)), **dict.fromkeys(acquittals, _PROVED)}


def processes(count: int) -> str:
    """So many serving processes, in words."""
    return "1 serving process" if count == 1 else f"{count} serving processes"


def _outage(look: Look, plan: Rollout) -> str:
    """Why a canary has to end whatever its units' first errors say: in this step it fails more often than not, and nothing else does."""
    most = max([0.5, *(_events(look.canary, metric, bound)[2] for metric, bound in plan.slo.items() if metric in RATES)])
    sides = [[one for one in window.counts if one.revision >= plan.step_revision] for window in (look.canary, look.baseline)]
    (errors, total), beside = [(sum(one.errors for one in side), sum(one.total for one in side)) for side in sides]
    if total < _OUTAGE or sum(map(_first_errors, look.canary.counts)) < _UNITS:
        return ""
    failing, failing_too = (of_excess(*counted, most) >= math.log(1 / plan.alpha) for counted in ((errors, total), beside))
    return f"{errors} of {total} requests of this step failed" if failing and not failing_too else ""


def _charges(plan: Rollout, errors: Callable[[VariantCount], int] | None = None) -> dict[str, Callable[[Look], float]]:
    """What may speak against a canary, and how much: that it is worse than the deployment beside it, or above its bounds.

    ``errors``: which count; None: the first of each unit.
    """
    counted = errors or _first_errors

    def worse(events: Callable[[VariantCount], int], look: Look) -> float:
        return of_harm(_shares(look, plan, events))

    def above(metric: str, bound: float, look: Look) -> float:
        events, total, most = _events(look.canary, metric, bound)
        return of_excess(events - (look.canary.repeated_errors if metric in RATES and errors is None else 0), total, most)

    return {
        _WORSE: partial(worse, counted),
        **{f"{_WORSE}.{metric}": partial(worse, partial(_slower, bound)) for metric, bound in plan.slo.items() if metric in _TAILS},
        **{_ABOVE + metric: partial(above, metric, bound) for metric, bound in plan.slo.items() if metric != _MEAN},
    }


def _acquit(look: Look, plan: Rollout, found: dict[str, float]) -> Judgement:
    """What is not charged: whether it is proved to be good."""
    canary, seen = look.canary, _told(look.canary)
    if canary.total < plan.min_requests:
        return Judgement(Verdict.CONTINUE, f"{canary.total} of {plan.min_requests} requests seen", found)
    late = [(metric, bound) for metric, bound in plan.slo.items() if metric not in RATES and (canary.metric(metric) or 0.0) > bound]
    for metric, bound in late:
        told = f"{metric} of {canary.metric(metric):.4g} s is above the objective of {bound:.4g} s"
        return Judgement(Verdict.ROLLBACK if metric == _MEAN else Verdict.CONTINUE, told, found)
    rates = [_events(canary, metric, bound) for metric, bound in plan.slo.items() if metric in RATES]
    comparable = all(window.repeated_errors <= _MOST_REPEATED * window.errors for window in (canary, look.baseline))
    found["evidence.no_worse"] = against_harm(_shares(look, plan, _all_errors), plan.margin) if comparable else 0.0
    found["evidence.within"] = min((_finite(against_rate(*one)) for one in rates), default=0.0)
    if found["evidence.within"] >= _PROVED and not plan.implied:
        return Judgement(Verdict.PROMOTE, f"{seen}, within the objective", found)
    if found["evidence.no_worse"] >= _PROVED:
        return Judgement(Verdict.PROMOTE, f"{seen}, fewer than {plan.margin:g} times those beside it", found)
    return Judgement(Verdict.CONTINUE, f"{seen}: too few requests to tell", found)


def _shares(look: Look, plan: Rollout, events: Callable[[VariantCount], int]) -> list[Share]:
    """Events of both sides under each routing revision whose weight is known."""
    sums: dict[int, list[int]] = {}
    for side, window in enumerate((look.canary, look.baseline)):
        for one in window.counts:
            sums.setdefault(one.revision, [0, 0])[side] += events(one)
    return [Share(plan.weights[revision], *found) for revision, found in sorted(sums.items()) if revision in plan.weights]


def _first_errors(count: VariantCount) -> int:
    return count.errors - count.repeated


def _all_errors(count: VariantCount) -> int:
    return count.errors


def _slower(bound: float, counted: VariantCount | Window) -> int:
    return sum(count for index, count in counted.histogram.items() if index > bucket(bound))


def _events(canary: Window, metric: str, bound: float) -> tuple[int, int, float]:
    """What breaks an objective, of how many requests, and which share of them may: errors, or requests slower than a quantile's bound."""
    if metric == "error_rate":
        return canary.errors, canary.total, bound
    if metric == "success_rate":
        return canary.errors, canary.total, 1 - bound
    return _slower(bound, canary), sum(canary.histogram.values()), _TAILS[metric]


def _charged(name: str, look: Look, plan: Rollout) -> str:
    """Why a canary is rolled back."""
    if name == _WORSE:
        return f"{_told(look.canary)}, beside {look.baseline.errors} in {look.baseline.total}"
    metric = name.removeprefix(_ABOVE).removeprefix(f"{_WORSE}.")
    bound = plan.slo[metric]
    events, total, _ = _events(look.canary, metric, bound)
    if metric in RATES:
        return f"{_told(look.canary)} break the objective of {metric} {bound:.3g}"
    if name.startswith(_ABOVE):
        return f"{events} of {total} requests took more than {bound:.4g} s, which breaks the objective of {metric}"
    others = _slower(bound, look.baseline), sum(look.baseline.histogram.values())
    return f"{events} of {total} requests took more than the {bound:.4g} s of {metric}, beside {others[0]} of {others[1]}"


def _finite(value: float) -> float:
    """What refutes a null altogether, as a number that every store can keep."""
    return max(-_MOST, min(value, _MOST))


def _told(window: Window) -> str:
    again = f" ({window.repeated_errors} of units that had failed before)" if window.repeated_errors else ""
    return f"{window.errors} errors{again} in {window.total} requests"


def pace(look: Look, plan: Rollout, judgement: Judgement) -> Move:
    """What the verdict means for the steps. The last step is entered only on PROMOTE, after the one before it has ended."""
    if judgement.verdict is Verdict.ROLLBACK:
        return Move.ROLLBACK
    begun = plan.step_started or look.at
    if not judgement.held and look.at - begun >= plan.step_time and look.step_requests >= plan.min_requests:
        if plan.step + 2 < len(plan.steps):
            return Move.STEP
        if judgement.verdict is Verdict.PROMOTE:
            return Move.PROMOTE
    if plan.ends is not None and look.at >= plan.ends:
        moves = {"hold": Move.PAUSE, "promote": Move.PAUSE if judgement.held else Move.PROMOTE, "rollback": Move.ROLLBACK}
        return moves[plan.at_deadline]
    return Move.WAIT
