"""Endpoints, their routes, and what a deployer sees."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from attrs import field, frozen

from mlops_core.records.record import Record

__all__ = ["EndpointKey", "Health", "HealthStatus", "Observed", "Variant", "VariantCount"]


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
    """Requests that one version answered under one routing revision."""

    version: str
    revision: int
    total: int
    errors: int


@frozen
class Observed(Record):
    """An endpoint as it is. ``revision`` 0: nothing routed yet; ``previous`` are the routes before, kept for a rollback."""

    url: str = ""
    revision: int = 0
    operation: Literal["applying", "applied", "failed"] = "applied"
    routes: tuple[Variant, ...] = ()
    shadow: str | None = None
    previous: tuple[Variant, ...] = ()
    loaded: tuple[str, ...] = ()
    counters: tuple[VariantCount, ...] = ()
    cursor: str | None = None
    detail: Mapping[str, str] = field(factory=dict)
