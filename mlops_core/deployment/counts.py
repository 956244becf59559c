"""What a canary is judged by: counts since its rollout began, from the deployer itself or from the monitoring sink."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mlops_core.deployment.canary import RATES, Look
from mlops_core.exceptions import DeploymentError
from mlops_core.records import SeriesKey, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mlops_core.deployment.desk import Desk
    from mlops_core.deployment.endpoint import EndpointState
    from mlops_core.records import Observed, Rollout, VariantCount
    from mlops_core.roles import MonitorSink

__all__ = ["check_countable", "look_at"]

_MARGIN: Final = timedelta(seconds=5)


def check_countable(desk: Desk, slo: Mapping[str, float]) -> None:
    """Refuse a canary that nobody could judge.

    Raises:
        DeploymentError: Neither the deployer counts requests, nor is there a sink that can be read; or a latency is bounded where the
            deployer only counts.
    """
    if "counters" not in desk.deployer.capabilities:
        _sink(desk)
    elif timed := sorted(slo.keys() - set(RATES)):
        raise DeploymentError(
            f"canary.slo.{timed[0]}: the deployer of {desk.endpoint.environment} counts requests and does not time them - "
            f"bound {' or '.join(RATES)} instead"
        )


def look_at(desk: Desk, state: EndpointState, rollout: Rollout, now: datetime) -> Look:
    """Everything that is known of the open canary and of the deployment beside it."""
    canary = set() if state.open is None else {one.version for one in state.open.variants}
    baseline = set() if state.live is None else {one.version for one in state.live.variants} - canary
    seen = desk.deployer.observe(desk.endpoint)
    if "counters" in desk.deployer.capabilities:
        windows = [_counted([one for one in seen.counters if one.version in versions], rollout) for versions in (canary, baseline)]
    else:
        windows = [_read(desk, versions, rollout, now) for versions in (canary, baseline)]
    requests = sum(windows[0].count(version, since=rollout.step_revision).total for version in canary)
    return Look(now, windows[0], windows[1], requests, _crashes(seen, rollout))


def _crashes(seen: Observed, rollout: Rollout) -> int:
    """Serving processes that died since the rollout began: each routing revision from then on has the canary in it."""
    found = seen.detail.get("crashes", {})
    return sum(count for revision, count in found.items() if int(revision) >= rollout.first_revision)


def _counted(counts: list[VariantCount], rollout: Rollout) -> Window:
    since = [one for one in counts if one.revision >= rollout.first_revision]
    return Window(total=sum(one.total for one in since), errors=sum(one.errors for one in since), counts=tuple(since))


def _read(desk: Desk, versions: Iterable[str], rollout: Rollout, now: datetime) -> Window:
    """A segment never spans a routing revision: the revision tells exactly what belongs to the rollout, the times bound the search."""
    sink = _sink(desk)
    start = (rollout.started or now) - _MARGIN
    key = desk.endpoint
    found = []
    for version in sorted(versions):
        segments = sink.read(SeriesKey(key.tenant, key.environment, key.model, version), start, now + _MARGIN, merged=True)
        found += [segment for segment in segments if segment.revision >= rollout.first_revision]
    return Window.merge(found)


def _sink(desk: Desk) -> MonitorSink:
    for sink in desk.stack.parts.sinks.values():
        if "read" in sink.capabilities:
            return sink
    raise DeploymentError("monitoring.sinks: none can be read, so that nobody could judge a canary - name one that can, such as sqlite")
