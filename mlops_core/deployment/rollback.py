"""Back to what served before: the traffic first, the journal when it can be reached."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mlops_core.deployment.endpoint import EndpointState, follow
from mlops_core.deployment.guard import one_line
from mlops_core.deployment.reconcile import reconcile
from mlops_core.deployment.routes import number_of, restored, shares_of
from mlops_core.deployment.states import ON_ITS_WAY
from mlops_core.exceptions import ConflictError, DeploymentError
from mlops_core.records import Deployment, Variant
from mlops_core.records import DeploymentStatus as S

if TYPE_CHECKING:
    from mlops_core.deployment.desk import Desk
    from mlops_core.records import Observed

__all__ = ["Moved", "NeedsDeployment", "move_traffic", "record"]

_LOG: Final = logging.getLogger(__name__)
_ATTEMPTS: Final = 20


class NeedsDeployment(Exception):  # noqa: N818  a signal to the caller, not a failure
    """The rollback window has passed: going back to ``deployment`` takes a deployment of its versions."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment.deployment_id)
        self.deployment = deployment


@frozen
class Moved:
    """What a rollback did to the traffic: the routes now, at which revision; ``version`` is the one that took requests, if any did."""

    routes: tuple[Variant, ...]
    revision: int
    version: str = ""


def move_traffic(desk: Desk, number: int, *, again: bool = False) -> Moved:
    """Take all requests from a deployment, at once: without the journal, unless the deployer cannot tell what served before.

    A deployment that takes no requests is fenced: the routes stay, at a new revision, so that whoever is about to route it conflicts.

    Raises:
        NeedsDeployment: What served before has been unloaded.
        DeploymentError: There is no such deployment, or the deployer failed.
    """
    for _ in range(_ATTEMPTS):
        seen = desk.deployer.observe(desk.endpoint)
        mine = [variant for variant in seen.routes if number_of(variant) == number]
        if not mine and (status := _status(desk, number, seen)) not in ON_ITS_WAY:
            if status is S.LIVE and not again:
                return _reconciled(desk, number)
            return Moved(seen.routes, seen.revision)
        target = _target(desk, number, seen) if mine else seen.routes
        try:
            revision = desk.deployer.set_routes(desk.endpoint, target, None, seen.revision)
        except ConflictError:
            continue
        return Moved(target, revision, mine[0].version if mine else seen.shadow or "")
    raise DeploymentError(f"deployment {desk.name(number)}: the routes changed {_ATTEMPTS} times meanwhile - roll back again")


def _status(desk: Desk, number: int, seen: Observed) -> S:
    """What the journal says. Where it cannot be reached: a shadow is told by the deployer alone, since it is the newest deployment's."""
    try:
        return desk.ledger.deployment(number).status
    except DeploymentError:
        raise
    except Exception:
        if seen.shadow is None or number <= max(map(number_of, seen.routes), default=0):
            raise
        return S.SHADOW


def _reconciled(desk: Desk, number: int) -> Moved:
    """It should take requests and takes none: its deployer lost its routes, or somebody moved them. Mend that first."""
    with desk.alone(desk.timeout):
        reconcile(desk)
    return move_traffic(desk, number, again=True)


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
    """The newest deployment below ``number`` that served other shares and was not taken back."""
    mine = found = state.find(number) or desk.ledger.deployment(number)
    while found.replaced is not None:
        found = state.find(found.replaced) or desk.ledger.deployment(found.replaced)
        if found.status in {S.LIVE, S.DRAINING, S.RETIRED} and shares_of(found.variants) != shares_of(mine.variants):
            return found
    return None


def record(desk: Desk, number: int, moved: Moved, reason: str) -> Deployment:
    """Write down that the traffic was moved. Where the registry fails, the next pass of the control loop does it: it sees the routes."""
    now = desk.stack.clock.now()
    try:
        state = desk.ledger.change(lambda before: follow(before, number, moved.routes, moved.revision, now=now, reason=reason))
        return state.find(number) or desk.ledger.deployment(number)
    except Exception as error:  # noqa: BLE001  the traffic has moved: that must be told, whatever the registry raises
        _LOG.warning("deployment %s: rolled back, but not yet in the journal: %s", desk.name(number), one_line(error))
        return _unwritten(desk, number, moved, reason)


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
