"""What a canary is judged by: counts since its rollout began, from the deployer itself or from the monitoring sink."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mlops_core.deployment.canary import RATES, Look
from mlops_core.exceptions import DeploymentError
from mlops_core.records import Quality, Segment, SeriesKey, Window, merge_quality

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlops_core.deployment.desk import Desk
    from mlops_core.deployment.endpoint import EndpointState
    from mlops_core.records import Observed, Rollout
    from mlops_core.roles import MonitorSink

__all__ = ["MARGIN", "Span", "check_countable", "crashes", "look_at", "quality_of", "window_of"]

MARGIN: Final = timedelta(seconds=5)
"""How far the clocks of serving processes may be apart from the one that wrote the journal."""


@frozen
class Span:
    """What belongs to a rollout: the routing revisions from ``first`` on, and before ``last`` if it is over.

    A segment never spans a routing revision, so the revisions tell it exactly; the times bound the search.
    """

    start: datetime
    end: datetime
    first: int
    last: int | None = None

    def holds(self, revision: int) -> bool:
        """Whether requests of this revision belong to it."""
        return self.first <= revision and (self.last is None or revision < self.last)


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


def look_at(desk: Desk, state: EndpointState, rollout: Rollout, now: datetime, seen: Observed | None = None) -> Look:
    """Everything that is known of the open canary and of the deployment beside it; ``seen``: what the deployer just told of it."""
    canary = set() if state.open is None else {one.version for one in state.open.variants}
    baseline = set() if state.live is None else {one.version for one in state.live.variants} - canary
    if seen is None:
        seen = desk.deployer.observe(desk.endpoint, since=rollout.first_revision)
    span = Span((rollout.started or now) - MARGIN, now + MARGIN, rollout.first_revision)
    windows = [window_of(desk, seen, versions, span) for versions in (canary, baseline)]
    requests = sum(windows[0].count(version, since=rollout.step_revision).total for version in canary)
    return Look(now, windows[0], windows[1], requests, crashes(seen, rollout.first_revision))


def crashes(seen: Observed, first_revision: int) -> int:
    """Serving processes that died since a rollout began: each routing revision from then on has its version in it."""
    found = seen.detail.get("crashes", {})
    return sum(count for revision, count in found.items() if int(revision) >= first_revision)


def window_of(desk: Desk, seen: Observed, versions: Iterable[str], span: Span) -> Window:
    """What these versions did in a span: by the deployer's own counts, where it has them."""
    if "counters" in desk.deployer.capabilities:
        counts = [one for one in seen.counters if one.version in versions and span.holds(one.revision)]
        return Window(
            total=sum(one.total for one in counts),
            errors=sum(one.errors for one in counts),
            repeated_errors=sum(one.repeated for one in counts),
            counts=tuple(counts),
        )
    sink, key = _sink(desk), desk.endpoint
    found: list[Segment] = []
    for version in sorted(versions):
        found += sink.read(SeriesKey(key.tenant, key.environment, key.model, version), span.start, span.end, merged=True)
    return Window.merge(one for one in found if span.holds(one.revision))


def quality_of(desk: Desk, version: str, start: datetime, end: datetime) -> Quality:
    """What is known of a version's predictions in [start, end], and of no other: outcomes have times, and no revision.

    What was rolled up to a piece that is only in part of that time is left out. So all but the ends is read as sums: what reaches over the
    border between is no wider than the widest roll-up, and hence within.
    """
    key, width = desk.endpoint, desk.stack.settings.monitoring.levels[-1][0]
    read = partial(_sink(desk).read, SeriesKey(key.tenant, key.environment, key.model, version))
    first, last = start + width, end - width
    found, edges = list[Segment](), [(start, end)]
    if first < last:
        found, edges = [*read(first, last, merged=True)], [(start, first), (last, end)]
    for begin, until in edges:
        found += (one for one in read(begin, until) if begin <= one.start and one.end <= until)
    return merge_quality(one.quality for one in found if one.quality is not None)


def _sink(desk: Desk) -> MonitorSink:
    for sink in desk.stack.parts.sinks.values():
        if "read" in sink.capabilities:
            return sink
    raise DeploymentError("monitoring.sinks: none can be read, so that nobody could judge a rollout - name one that can, such as sqlite")
