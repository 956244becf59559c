"""What the versions of a rollout did, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mlops_core.deployment.canary import looked
from mlops_core.deployment.counts import MARGIN, Span, look_at, window_of
from mlops_core.deployment.routes import shares_of
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import RolloutReport, VersionFigures
from mlops_core.records.threshold import SHADOW_DROPPED

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Literal

    from mlops_core.deployment.desk import Desk
    from mlops_core.records import Deployment, Observed, Window

    Kind = Literal["shadow", "canary", "test"]
    Role = Literal["live", "canary", "shadow", "variant"]

__all__ = ["report"]


def report(desk: Desk, number: int) -> RolloutReport:
    """The newest rollout of a deployment, which may have been a shadow first and a canary then.

    Raises:
        DeploymentError: It is no rollout, has not begun, or nothing that counts can be read.
    """
    one, now = desk.ledger.deployment(number), desk.stack.clock.now()
    kind, ended, span = _span(one, now, exact="counters" not in desk.deployer.capabilities)
    seen = desk.deployer.observe(desk.endpoint, since=span.first)
    beside = () if one.replaced is None or kind == "test" else desk.ledger.deployment(one.replaced).variants
    mine = shares_of(one.variants)
    roles: dict[str, Role] = {version: "live" for version in shares_of(beside) if version not in mine}
    roles |= dict.fromkeys(mine, "variant" if kind == "test" else kind)
    shares = shares_of(seen.routes)
    windows = {version: window_of(desk, seen, {version}, span) for version in roles}
    figures = [_figures(version, role, shares.get(version, 0.0), windows[version]) for version, role in roles.items()]
    since = 0 if one.rollout is None else one.rollout.step_revision
    in_step = windows[one.version].count(one.version, since=since).total if kind == "canary" else 0
    return RolloutReport(_judged(desk, one, seen, now), kind, now, span.start + MARGIN, ended, tuple(figures), in_step)


def _judged(desk: Desk, one: Deployment, seen: Observed, now: datetime) -> Deployment:
    """With the verdict as it is now, where it is a canary on its way: the journal has that of the last step."""
    if one.rollout is None or one.status not in {S.CANARY, S.PAUSED} or not one.confirmed:
        return one
    state = desk.ledger.read()
    if state.open is None or state.open.number != one.number:
        return one  # it has ended meanwhile
    rollout, judgement = looked(look_at(desk, state, one.rollout, now, seen), one.rollout)
    return evolve(one, rollout=rollout, reason=judgement.reason if one.status is S.CANARY else one.reason)


def _span(one: Deployment, now: datetime, *, exact: bool) -> tuple[Kind, datetime | None, Span]:
    """The newest rollout of a deployment: when it ended, and what belongs to it.

    A test ends at a time, the others with a routing revision. Counts that are not ``exact`` have no times: they end with the test's shares.
    """
    plan, run, served = one.rollout, one.shadow, one.served
    if plan is not None and plan.started is not None and plan.first_revision:
        kind: Kind = "canary"
        began, first, ended, last = plan.started, plan.first_revision, plan.ended, plan.end_revision
    elif run is not None and run.started is not None:
        kind, began, first, ended, last = "shadow", run.started, run.first_revision, run.stopped, run.end_revision
    elif len(one.variants) > 1 and served is not None:
        kind, began, first, ended, last = "test", served.started, served.first_revision, served.ended, served.end_revision
    else:
        raise DeploymentError(f"deployment {one.deployment_id}: is {one.status}, and no canary, shadow or A/B test of it has begun")
    end = (ended or now) + MARGIN
    if exact and kind == "test" and one.test is not None and one.test.ended is not None:
        ended = end = one.test.ends
    return kind, ended, Span(began - MARGIN, end, first, last or None)


def _figures(version: str, role: Role, weight: float, seen: Window) -> VersionFigures:
    copies = seen.values.get(SHADOW_DROPPED)
    return VersionFigures(
        version,
        role,
        weight,
        requests=seen.total,
        errors=seen.errors,
        dropped=sum(one.dropped for one in seen.counts) + (round(copies.sum) if copies else 0),
        avg_latency=seen.avg_latency,
        p50_latency=seen.p50_latency,
        p95_latency=seen.p95_latency,
        p99_latency=seen.p99_latency,
    )
