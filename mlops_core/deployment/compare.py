"""What the versions of a rollout did, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_core.deployment.counts import MARGIN, Span, window_of
from mlops_core.deployment.routes import shares_of
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import RolloutReport, VersionFigures
from mlops_core.records.threshold import SHADOW_DROPPED

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Literal

    from mlops_core.deployment.desk import Desk
    from mlops_core.records import Deployment, Window

    Kind = Literal["shadow", "canary", "test"]
    Role = Literal["live", "canary", "shadow", "variant"]

__all__ = ["report"]

_GOING: Final = {"shadow": {S.SHADOW}, "canary": {S.CANARY, S.PAUSED, S.PROMOTING}, "test": {S.LIVE}}


def report(desk: Desk, number: int) -> RolloutReport:
    """The newest rollout of a deployment, which may have been a shadow first and a canary then.

    Raises:
        DeploymentError: It is no rollout, has not begun, or nothing that counts can be read.
    """
    one, now = desk.ledger.deployment(number), desk.stack.clock.now()
    kind, started, first = _begun(one)
    over, ended = _over(one, kind)
    timed = kind == "test" and over  # a test ends at a time, the others with a routing revision
    end = ended if timed and ended is not None else now + MARGIN
    span = Span(started - MARGIN, end, first, one.revision if over and not timed else None)
    seen = desk.deployer.observe(desk.endpoint, since=first)
    beside = () if one.replaced is None or kind == "test" else desk.ledger.deployment(one.replaced).variants
    mine = shares_of(one.variants)
    roles: dict[str, Role] = {version: "live" for version in shares_of(beside) if version not in mine}
    roles |= dict.fromkeys(mine, "variant" if kind == "test" else kind)
    shares = shares_of(seen.routes)
    windows = {version: window_of(desk, seen, {version}, span) for version in roles}
    figures = [_figures(version, role, shares.get(version, 0.0), windows[version]) for version, role in roles.items()]
    since = 0 if one.rollout is None else one.rollout.step_revision
    in_step = windows[one.version].count(one.version, since=since).total if kind == "canary" else 0
    return RolloutReport(one, kind, now, started, ended, tuple(figures), in_step)


def _begun(one: Deployment) -> tuple[Kind, datetime, int]:
    """The newest rollout of a deployment: since when, and with which routing revision."""
    plan, run = one.rollout, one.shadow
    if plan is not None and plan.started is not None and plan.first_revision:
        return "canary", plan.started, plan.first_revision
    if run is not None and run.started is not None:
        return "shadow", run.started, run.first_revision
    if len(one.variants) > 1 and one.revision:
        return "test", one.created if one.test is None else one.test.started or one.created, one.revision
    raise DeploymentError(f"deployment {one.deployment_id}: is {one.status}, and no canary, shadow or A/B test of it has begun")


def _over(one: Deployment, kind: Kind) -> tuple[bool, datetime | None]:
    """Whether it is over, and since when."""
    if kind == "test" and one.test is not None and one.test.ended is not None:
        return True, one.test.ends
    over = one.status not in _GOING[kind]
    return over, one.changed if over else None


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
