"""What is wanted and what is there: brought together after a crash, a lost server, or a rollback that the journal did not see."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Final

from attrs import evolve

from mlops_core.deployment.endpoint import EndpointState, follow, forget, move, planned, renewed
from mlops_core.deployment.routes import number_of, shares_of
from mlops_core.deployment.shadow import is_as_planned, shadow_of
from mlops_core.deployment.states import ROUTED, TERMINAL
from mlops_core.records import DeploymentStatus as S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlops_core.deployment.desk import Desk
    from mlops_core.records import Deployment, Observed

__all__ = ["adopt", "due", "reconcile", "sweep"]

_LOG: Final = logging.getLogger(__name__)
_REASON: Final = "traffic was moved off it while the journal could not be written"


def reconcile(desk: Desk) -> EndpointState:
    """Bring journal and deployer together; the caller holds the endpoint's lease.

    Traffic that was moved since is a fact, and the journal follows it. A deployer that lost its routes, or whose server is down, gets
    back what the journal asks for, and routes that failed to hold are set again. A server that a person shut down stays down.
    """
    state = desk.ledger.read()
    if state.number == 0:
        return state
    seen = desk.deployer.observe(desk.endpoint)
    if seen.revision > state.revision:
        now = desk.stack.clock.now()
        state = desk.ledger.change(lambda before: adopt(before, seen, now=now))
    if seen.revision < state.revision:
        _LOG.warning("endpoint %s: its routes are lost, set again from the journal", desk.endpoint.model)
        state = desk.ledger.change(lambda before: forget(before, seen.revision))
    _restore(desk, state, seen)
    return state if is_as_planned(state, seen) and seen.operation != "failed" else _settle(desk, state)


def adopt(state: EndpointState, seen: Observed, *, now: datetime) -> EndpointState:
    """The state that the routes tell of: an intent that was carried out, or traffic that was moved beside the journal."""
    if is_as_planned(state, seen):
        return evolve(state, revision=seen.revision)
    routed = {number_of(variant) for variant in seen.routes}
    gone = [one for one in state.deployments if one.status in ROUTED and one.weight > 0 and one.number not in routed]
    if state.open is not None and shadow_of(state) not in {None, seen.shadow}:
        gone.append(state.open)
    if not gone:
        return evolve(state, revision=seen.revision)
    first = min(one.number for one in gone)
    return follow(state, first, seen.routes, seen.revision, now=now, reason=_REASON)


def sweep(desk: Desk, now: datetime) -> EndpointState:
    """Release what was superseded and whose time for a rollback has passed; the caller holds the endpoint's lease.

    What takes its time to leave may be returned to until it has, and so is not over before.
    """
    state = desk.ledger.read()
    if not state.number:
        return state
    seen = desk.deployer.observe(desk.endpoint)
    over = due(state, seen, now)
    if over or state.open is None or state.open.confirmed:
        desk.unload_unneeded(_without(state, over), seen)
    left = set(desk.unneeded(_without(state, over), desk.deployer.observe(desk.endpoint))) if over else set()
    for one in over:
        if left & shares_of(one.variants).keys():
            continue
        state = desk.ledger.change(functools.partial(_retired, number=one.number, now=now))
    return state


def due(state: EndpointState, seen: Observed, now: datetime) -> tuple[Deployment, ...]:
    """The superseded deployments to retire now: all whose time has passed.

    Except the one that the deployer returns to by itself, where others keep all its versions loaded: it is as warm as ever.
    """
    passed = [one for one in state.deployments if one.status is S.DRAINING and one.retire_at is not None and one.retire_at <= now]
    others = _without(state, passed)
    needed = {variant.version for one in others.deployments if one.status not in TERMINAL for variant in one.variants}
    previous = {number_of(variant) for variant in seen.previous}
    return tuple(one for one in passed if one.number not in previous or not shares_of(one.variants).keys() <= needed)


def _without(state: EndpointState, gone: Sequence[Deployment]) -> EndpointState:
    numbers = {one.number for one in gone}
    return evolve(state, deployments=tuple(one for one in state.deployments if one.number not in numbers))


def _retired(state: EndpointState, number: int, now: datetime) -> EndpointState:
    one = state.find(number)
    if one is None or one.status is not S.DRAINING:
        return state
    return move(state, number, S.RETIRED, now=now, reason=one.reason)


def _restore(desk: Desk, state: EndpointState, seen: Observed) -> None:
    """Have everything loaded that could take requests."""
    if seen.detail.get("server") == "stopped":
        return
    wanted = {variant.version for one in state.deployments if one.status in ROUTED for variant in one.variants}
    wanted |= {variant.version for variant in seen.routes}
    desk.load(sorted(wanted - set(seen.loaded)))


def _settle(desk: Desk, state: EndpointState) -> EndpointState:
    """Do what the journal still owes: routes that were written down and do not hold. An open deployment's own are its driver's to set."""
    wanted = planned(state)
    seen = desk.deployer.observe(desk.endpoint)
    owed = bool(wanted) or all(_is_draining(state, number_of(variant)) for variant in seen.routes)
    busy = state.open is not None and not (state.open.status in ROUTED and state.open.confirmed)
    if seen.revision != state.revision or not owed or busy or seen.detail.get("server") == "stopped":
        return state
    revision = desk.route(wanted, shadow_of(state), seen.revision, again=True).revision
    return desk.ledger.change(lambda before: renewed(before, revision))


def _is_draining(state: EndpointState, number: int) -> bool:
    found = state.find(number)
    return found is not None and found.status is S.DRAINING
