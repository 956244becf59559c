"""When a canary goes on, ends well or ends badly: pure functions over counts.

``judge`` says what the counts mean, ``pace`` what to do about it now. Both may be asked at any number of looks.
"""

from __future__ import annotations

import itertools
import math
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Record, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_core.config.settings import CanarySettings
    from mlops_core.records import Rollout

__all__ = ["BOUNDS", "RATES", "Judgement", "Look", "Move", "Verdict", "check_plan", "judge", "pace"]

BOUNDS: Final = ("error_rate", "success_rate", "avg_latency", "p50_latency", "p95_latency", "p99_latency")
"""Metrics that an ``slo`` may bound: the success rate from below, the others from above; rates are fractions, latencies seconds."""
RATES: Final = BOUNDS[:2]
"""Those that count errors: a canary is always held to one."""


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
    """A verdict and its reason in one line."""

    verdict: Verdict
    reason: str


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


def judge(look: Look, plan: Rollout) -> Judgement:
    """Hold a canary against the objectives of its plan.

    Too many errors are a ROLLBACK as soon as no further success up to ``min_requests`` could mend them; a latency, once there are that
    many requests. A serving process that died while the canary was routed is a ROLLBACK too: what was in flight in it was never counted.
    PROMOTE: ``min_requests`` were answered within every objective. Anything else is CONTINUE.
    """
    canary = look.canary
    if look.crashes:
        died = "1 serving process" if look.crashes == 1 else f"{look.crashes} serving processes"
        return Judgement(Verdict.ROLLBACK, f"{died} ended unexpectedly while it took requests")
    worst = {metric: bound for metric, bound in plan.slo.items() if metric not in RATES}
    rates = [plan.slo["error_rate"]] if "error_rate" in plan.slo else []
    rates += [1 - plan.slo["success_rate"]] if "success_rate" in plan.slo else []
    for bound in rates:
        if canary.errors > bound * max(canary.total, plan.min_requests) + 1e-9:
            return Judgement(Verdict.ROLLBACK, f"{canary.errors} errors in {canary.total} requests break the objective of {bound:.3g}")
    if canary.total < plan.min_requests:
        return Judgement(Verdict.CONTINUE, f"{canary.total} of {plan.min_requests} requests seen")
    for metric, bound in worst.items():
        value = canary.metric(metric)
        if value is not None and value > bound:
            return Judgement(Verdict.ROLLBACK, f"{metric} of {value:.4g} s breaks the objective of {bound:.4g} s")
    return Judgement(Verdict.PROMOTE, f"{canary.errors} errors in {canary.total} requests")


def pace(look: Look, plan: Rollout, judgement: Judgement) -> Move:
    """What the verdict means for the steps. The last step is entered only on PROMOTE, after the one before it has ended."""
    if judgement.verdict is Verdict.ROLLBACK:
        return Move.ROLLBACK
    begun = plan.step_started or look.at
    if look.at - begun >= plan.step_time and look.step_requests >= plan.min_requests:
        if plan.step + 2 < len(plan.steps):
            return Move.STEP
        if judgement.verdict is Verdict.PROMOTE:
            return Move.PROMOTE
    if plan.ends is not None and look.at >= plan.ends:
        return {"hold": Move.PAUSE, "promote": Move.PROMOTE, "rollback": Move.ROLLBACK}[plan.at_deadline]
    return Move.WAIT
