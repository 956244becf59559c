"""Back to what served before: the traffic first, the journal when it can be reached."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from mlops_core.deployment.endpoint import EndpointState, move
from mlops_core.deployment.guard import one_line
from mlops_core.deployment.routes import number_of, restored
from mlops_core.deployment.states import ROUTED, TERMINAL
from mlops_core.exceptions import ConflictError, DeploymentError
from mlops_core.records import Deployment, Variant
from mlops_core.records import DeploymentStatus as S

if TYPE_CHECKING:
    from datetime import datetime

    from mlops_core.deployment.desk import Desk
    from mlops_core.records import Observed

__all__ = ["Moved", "NeedsDeployment", "follow", "move_traffic", "record"]

_LOG: Final = logging.getLogger(__name__)
_ATTEMPTS: Final = 20


class NeedsDeployment(Exception):  # noqa: N818  a signal to the caller, not a failure
    """The rollback window has passed: going back to ``deployment`` takes a deployment of its versions."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment.deployment_id)
        self.deployment = deployment


@frozen
class Moved:
    """What a rollback did to the traffic: the routes now, at which revision, and whether (and with which version) it took requests."""

    routes: tuple[Variant, ...]
    revision: int
    took: bool
    version: str = ""


def move_traffic(desk: Desk, number: int) -> Moved:
    """Take all requests from a deployment, at once. Reads neither journal nor lease unless the deployer cannot tell what served before.

    A deployment that takes no requests is fenced: the routes stay, at a new revision, so that whoever is about to route it conflicts.

    Raises:
        NeedsDeployment: What served before has been unloaded.
        DeploymentError: The deployer failed.
    """
    for _ in range(_ATTEMPTS):
        seen = desk.deployer.observe(desk.endpoint)
        took = any(number_of(variant) == number for variant in seen.routes)
        if seen.revision == 0:
            return Moved((), 0, took=False)
        target = _target(desk, number, seen) if took else seen.routes
        try:
            revision = desk.deployer.set_routes(desk.endpoint, target, None, seen.revision)
        except ConflictError:
            continue
        version = next((variant.version for variant in seen.routes if number_of(variant) == number), "")
        return Moved(target, revision, took, version)
    raise DeploymentError(f"deployment {desk.name(number)}: the routes changed {_ATTEMPTS} times meanwhile - roll back again")


def _target(desk: Desk, number: int, seen: Observed) -> tuple[Variant, ...]:
    found = restored(seen.routes, seen.previous, number)
    known = set(seen.loaded) or {variant.version for variant in found}  # a server that is down loads them when it starts
    if found and {variant.version for variant in found} <= known:
        return found
    if not found and number == 1:
        return ()
    before = _before(desk.ledger.read(), number, desk)
    if before is None:
        return ()
    if before.status is not S.RETIRED and {variant.version for variant in before.variants} <= known:
        return before.variants
    raise NeedsDeployment(before)


def _before(state: EndpointState, number: int, desk: Desk) -> Deployment | None:
    """The newest deployment below ``number`` that served and was not taken back."""
    found = state.find(number)
    while found is not None and found.replaced is not None:
        found = state.find(found.replaced) or desk.ledger.deployment(found.replaced)
        if found.status in {S.LIVE, S.DRAINING, S.RETIRED}:
            return found
    return None


def record(desk: Desk, number: int, moved: Moved, reason: str) -> Deployment:
    """Write down that the traffic was moved. Where the registry fails, the next pass of the control loop does it: it sees the routes."""
    now = desk.stack.clock.now()
    try:
        state = desk.ledger.change(lambda before: follow(before, number, moved, now=now, reason=reason))
        return state.find(number) or desk.ledger.deployment(number)
    except Exception as error:  # noqa: BLE001  the traffic has moved: that must be told, whatever the registry raises
        _LOG.warning("deployment %s: rolled back, but not yet in the journal: %s", desk.name(number), one_line(error))
        return _unwritten(desk, number, moved, reason)


def follow(state: EndpointState, number: int, moved: Moved, *, now: datetime, reason: str) -> EndpointState:
    """The state after the traffic was moved from ``number``: it and what came after it are rolled back, what took over is live again."""
    state = evolve(state, revision=moved.revision)
    routed = {number_of(variant) for variant in moved.routes}
    for one in state.deployments:
        if one.status in TERMINAL or one.number in routed or one.status is S.DRAINING:
            continue
        if one.number == number or (one.number > number and one.status in ROUTED):
            why = reason if one.number == number else f"{reason}; it stood on deployment {number}"
            state = move(state, one.number, S.ROLLED_BACK, now=now, reason=why, revision=moved.revision)
    for one in state.deployments:
        if one.number in routed and one.status is S.DRAINING:
            why = f"live again: deployment {number} was rolled back"
            state = move(state, one.number, S.LIVE, now=now, reason=why, revision=moved.revision)
    return state


def _unwritten(desk: Desk, number: int, moved: Moved, reason: str) -> Deployment:
    now = desk.stack.clock.now()
    key = desk.endpoint
    return Deployment(
        deployment_id=desk.name(number),
        tenant=key.tenant,
        environment=key.environment,
        model=key.model,
        version=moved.version,
        number=number,
        status=S.ROLLED_BACK,
        variants=(),
        created=now,
        changed=now,
        revision=moved.revision,
        reason=f"{reason}; the journal follows when the registry answers",
    )
