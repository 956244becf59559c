"""Endpoints, their routes, and what a deployer sees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from attrs import field, frozen

from mlops_core.records.record import Record

__all__ = [
    "Deployment",
    "DeploymentStatus",
    "Endpoint",
    "EndpointKey",
    "Health",
    "HealthStatus",
    "Observed",
    "Plan",
    "PlannedCall",
    "Prediction",
    "Rollout",
    "Served",
    "ShadowRun",
    "SplitTest",
    "Variant",
    "VariantCount",
]


class HealthStatus(StrEnum):
    """How a model or a server is; ``unknown`` is the answer without data."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@frozen
class EndpointKey(Record):
    """Where a model is served: one endpoint per tenant, environment and model."""

    tenant: str
    environment: str
    model: str


@frozen
class Variant(Record):
    """A version that takes a share of the requests; ``weight`` is a fraction in [0, 1], and an endpoint's weights sum to 1."""

    name: str
    version: str
    weight: float


@frozen
class Health(Record):
    """A server's answer about one version, with one line of detail."""

    status: HealthStatus
    detail: str = ""


@frozen
class VariantCount(Record):
    """Requests that one version answered under one routing revision.

    ``dropped`` are copies that a shadow had no time for. ``repeated``, of the errors, are those of units that had failed before in the
    same rollout; ``histogram`` maps a bucket of ``mlops_core.records.histogram`` to its count. Who does not know them leaves them out.
    """

    version: str
    revision: int
    total: int
    errors: int
    dropped: int = 0
    repeated: int = 0
    histogram: Mapping[int, int] = field(factory=dict)


@frozen
class Observed(Record):
    """An endpoint as it is. ``revision`` 0: nothing routed yet; ``previous`` are those before they changed last.

    ``routes`` are those that were set last; ``operation`` tells whether they hold yet, or failed to. ``counters``: totals per version and
    routing revision. ``detail`` is the deployer's own, but for four keys: ``server`` is ``stopped`` where a person shut it down,
    ``crashes`` maps a routing revision, as text, to the number of serving processes that ended unexpectedly under it, ``memory`` is what
    the server's processes have resident, in bytes, and ``reason`` says in one line why the operation failed.
    """

    url: str = ""
    revision: int = 0
    operation: Literal["applying", "applied", "failed"] = "applied"
    routes: tuple[Variant, ...] = ()
    shadow: str | None = None
    previous: tuple[Variant, ...] = ()
    loaded: tuple[str, ...] = ()
    counters: tuple[VariantCount, ...] = ()
    detail: Mapping[str, Any] = field(factory=dict)


class DeploymentStatus(StrEnum):
    """States of a deployment; ``mlops_core.deployment.states`` says which follows which."""

    PENDING = "pending"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTING = "promoting"
    LIVE = "live"
    DRAINING = "draining"
    RETIRED = "retired"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    FAILED = "failed"


@frozen
class Rollout(Record):
    """A canary's plan and how far it is.

    ``steps`` are shares of the requests, rising; the last is 1.0. ``step`` is the index of the one in force, reached at ``step_started``
    with routing revision ``step_revision``; the rollout as a whole began with ``first_revision``. ``ends`` is the deadline as a time.
    ``implied``: its rate is the project's maximum, not one that was chosen for this rollout. ``weights`` are the shares that routing
    revisions gave it. ``alpha`` bounds the probability of a rollback without a cause, ``margin`` is the ratio of error rates that a
    promotion rules out. ``verdict`` and ``metrics`` are those of the look that moved it last, with the logarithms of its e-values.
    It was over at ``ended``, with routing revision ``end_revision``.
    """

    steps: tuple[float, ...]
    step_time: timedelta
    min_requests: int
    deadline: timedelta
    at_deadline: Literal["hold", "promote", "rollback"] = "hold"
    slo: Mapping[str, float] = field(factory=dict)
    implied: bool = False
    step: int = 0
    started: datetime | None = None
    ends: datetime | None = None
    step_started: datetime | None = None
    first_revision: int = 0
    step_revision: int = 0
    weights: Mapping[int, float] = field(factory=dict)
    alpha: float = 0.01
    margin: float = 1.5
    verdict: str = ""
    metrics: Mapping[str, float] = field(factory=dict)
    ended: datetime | None = None
    end_revision: int = 0


@frozen
class ShadowRun(Record):
    """A version's time as a shadow: it gets copies of the requests from ``started`` and routing revision ``first_revision`` on.

    ``ended``: when somebody said what becomes of it, such as a canary; it gets copies until that has begun: at ``stopped``, with routing
    revision ``end_revision``.
    """

    started: datetime | None = None
    first_revision: int = 0
    ended: datetime | None = None
    stopped: datetime | None = None
    end_revision: int = 0


@frozen
class Served(Record):
    """When one was live: from ``started`` and routing revision ``first_revision`` on, until ``ended`` and before ``end_revision``."""

    started: datetime
    first_revision: int
    ended: datetime | None = None
    end_revision: int = 0


@frozen
class SplitTest(Record):
    """How an A/B test ends at ``ends``: by ``then``, which is ``hold``, ``best`` by ``metric``, or the version that takes all.

    ``started``: since when its versions have had their shares. ``verdict`` and ``metrics`` say how it ended, at ``ended``.
    """

    ends: datetime
    then: str = "hold"
    metric: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    verdict: str = ""
    metrics: Mapping[str, float] = field(factory=dict)


@frozen
class Deployment(Record):
    """One deployment of a model to an environment.

    ``deployment_id`` is ``environment/model/number``. ``variants`` are its own versions and how they share its requests (one with weight 1
    but for an A/B test); ``weight`` is the share of the endpoint's requests that it takes now. ``revision`` is the routing revision that
    gave it this share. ``confirmed`` is false while the effect of ``status`` is under way. ``replaced`` is the number of the deployment
    that was live before. ``retire_at``: until then a superseded deployment stays loaded for a rollback. ``shadow``: it began as one.
    ``test``: how its A/B test ends. ``served``: when it was live; of an A/B test that has ended and is live once more, when that was.
    """

    deployment_id: str
    tenant: str
    environment: str
    model: str
    version: str
    number: int
    status: DeploymentStatus
    variants: tuple[Variant, ...]
    created: datetime
    changed: datetime
    key: str = ""
    weight: float = 0.0
    revision: int = 0
    confirmed: bool = True
    url: str = ""
    reason: str = ""
    shadow: ShadowRun | None = None
    test: SplitTest | None = None
    rollout: Rollout | None = None
    replaced: int | None = None
    retire_at: datetime | None = None
    served: Served | None = None

    @property
    def endpoint(self) -> EndpointKey:
        """Where it is served."""
        return EndpointKey(self.tenant, self.environment, self.model)


@frozen
class Endpoint(Record):
    """An endpoint as its journal and its deployer describe it.

    ``live`` serves; ``open`` is a deployment that is on its way. ``shadow`` is the version that gets copies of the requests. ``kept``
    are superseded deployments that stay loaded for a rollback, each until its ``retire_at``.
    """

    environment: str
    model: str
    url: str = ""
    revision: int = 0
    routes: tuple[Variant, ...] = ()
    shadow: str | None = None
    loaded: tuple[str, ...] = ()
    kept: tuple[Deployment, ...] = ()
    live: Deployment | None = None
    open: Deployment | None = None
    detail: Mapping[str, Any] = field(factory=dict)


@frozen
class PlannedCall(Record):
    """A call that a deployer would make, by the name that its backend has for it."""

    name: str
    arguments: Mapping[str, Any] = field(factory=dict)


@frozen
class Plan(Record):
    """What new routes would take: ``calls`` in their order, the ``instances`` that would serve then by kind, and what else to know."""

    calls: tuple[PlannedCall, ...]
    instances: Mapping[str, int] = field(factory=dict)
    notes: tuple[str, ...] = ()


@frozen
class Prediction(Record):
    """An endpoint's answer: ``outputs`` by name, one value per row, and the version that gave it."""

    outputs: Mapping[str, Any]
    version: str
    prediction_id: str
