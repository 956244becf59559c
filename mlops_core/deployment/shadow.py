"""A version that gets copies of the live one's requests: what the journal says of it, as pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from mlops_core.deployment.endpoint import EndpointState, move, planned
from mlops_core.deployment.routes import shares_of
from mlops_core.exceptions import CapabilityError
from mlops_core.records import DeploymentStatus as S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlops_core.deployment.desk import Desk
    from mlops_core.records import Deployment, Observed

__all__ = ["check_shadows", "is_as_planned", "open_shadow", "shadow_of", "told_to_go_on"]


def shadow_of(state: EndpointState) -> str | None:
    """The version that the state asks to be given copies of the requests."""
    return state.open.version if state.open is not None and state.open.status is S.SHADOW else None


def check_shadows(desk: Desk) -> None:
    """Refuse a shadow where the deployer has none.

    Raises:
        CapabilityError: It does not declare ``shadow``.
    """
    if "shadow" not in desk.deployer.capabilities:
        name = type(desk.deployer).__name__
        raise CapabilityError(f"environments.{desk.endpoint.environment}: {name} has no shadows - start a canary instead")


def is_as_planned(state: EndpointState, seen: Observed) -> bool:
    """Whether a deployer has the routes, and the shadow, that the state asks for."""
    return (seen.routes, seen.shadow) == (planned(state), shadow_of(state))


def open_shadow(state: EndpointState, weights: Mapping[str, float]) -> Deployment | None:
    """The deployment in shadow, if it is of what has these weights."""
    return state.open if shadow_of(state) is not None and state.open and shares_of(state.open.variants) == weights else None


def told_to_go_on(state: EndpointState, one: Deployment, now: datetime, **plan: Any) -> EndpointState:
    """The state in which a shadow was told what becomes of it; it gets copies until that has begun. Telling it again changes nothing."""
    if one.shadow is None or one.shadow.ended is not None:
        return state
    return move(state, one.number, S.SHADOW, now=now, shadow=evolve(one.shadow, ended=now), confirmed=one.confirmed, **plan)
