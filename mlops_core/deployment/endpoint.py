"""The journaled state of an endpoint, and the pure functions that change it.

Entering a state is the intent to do what the state stands for; ``confirmed`` tells that it was done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from mlops_core.deployment.routes import heaviest, mix, number_of, variants_of
from mlops_core.deployment.states import ON_ITS_WAY, ROUTED, TERMINAL, check_edge
from mlops_core.exceptions import DeploymentError
from mlops_core.records import Deployment, DeploymentStatus, Record, Served, Variant
from mlops_core.records import DeploymentStatus as S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from mlops_core.records import EndpointKey, Rollout

__all__ = [
    "FORMAT",
    "EndpointState",
    "create",
    "deployment_id",
    "follow",
    "forget",
    "move",
    "planned",
    "relocate",
    "renewed",
    "replaced",
]

FORMAT: Final = 1
_KEPT: Final = 8
_PARTIAL: Final = frozenset({S.CANARY, S.PAUSED})
_SUPERSEDED: Final = TERMINAL | {S.DRAINING}


@frozen
class EndpointState(Record):
    """Everything the core knows of an endpoint.

    ``number`` is the newest deployment's, ``revision`` that of the routes confirmed last. ``deployments`` holds those that are not over,
    and the newest of the others; ``format`` is the version of this form.
    """

    format: int = FORMAT
    number: int = 0
    revision: int = 0
    deployments: tuple[Deployment, ...] = ()

    @property
    def live(self) -> Deployment | None:
        """The deployment that serves."""
        return next((one for one in self.deployments if one.status is S.LIVE), None)

    @property
    def open(self) -> Deployment | None:
        """The deployment that is on its way."""
        return next((one for one in self.deployments if one.status in ON_ITS_WAY), None)

    def find(self, number: int) -> Deployment | None:
        """A deployment by number, None once it was forgotten."""
        return next((one for one in self.deployments if one.number == number), None)

    def get(self, number: int) -> Deployment:
        """A deployment by number.

        Raises:
            DeploymentError: There is none, or not any more.
        """
        found = self.find(number)
        if found is None:
            raise DeploymentError(f"deployment {number}: there is none of that number - `history` lists them")
        return found


def deployment_id(key: EndpointKey, number: int) -> str:
    """``environment/model/number``: readable, and enough to find the endpoint without the registry."""
    return f"{key.environment}/{key.model}/{number}"


def create(
    state: EndpointState, endpoint: EndpointKey, weights: Mapping[str, float], *, now: datetime, returns: bool = False, **fields: Any
) -> EndpointState:
    """Add a pending deployment; ``returns``: it brings back what an earlier one served; ``fields``: others of the deployment.

    Raises:
        DeploymentError: Another one is on its way.
    """
    if state.open is not None:
        raise DeploymentError(
            f"deployment {state.open.deployment_id}: is {state.open.status}, and an endpoint changes by one deployment at a time - "
            "let it end, or roll it back"
        )
    number = state.number + 1
    variants = variants_of(number, weights, returns=returns)
    added = Deployment(
        deployment_id=deployment_id(endpoint, number),
        tenant=endpoint.tenant,
        environment=endpoint.environment,
        model=endpoint.model,
        version=heaviest(variants),
        number=number,
        status=S.PENDING,
        variants=variants,
        created=now,
        changed=now,
        replaced=None if state.live is None else state.live.number,
        **fields,
    )
    return evolve(state, number=number, deployments=_pruned((*state.deployments, added)))


def move(
    state: EndpointState, number: int, to: DeploymentStatus, *, now: datetime, window: timedelta | None = None, **changes: Any
) -> EndpointState:
    """Follow an edge. Shares follow from it: what goes live takes all requests and supersedes what was live.

    Args:
        state: The state before.
        number: Whose edge.
        to: The state to enter; its own again to confirm it.
        now: When.
        window: How long a superseded deployment stays loaded.
        changes: Other fields of the deployment.

    Raises:
        DeploymentError: There is no such edge.
    """
    before = state.get(number)
    if to is not before.status:
        check_edge(before.deployment_id, before.status, to)
    weight = {S.LIVE: 1.0, S.CANARY: before.weight, S.PAUSED: before.weight, S.PROMOTING: before.weight}.get(to, 0.0)
    after = evolve(before, **{"status": to, "changed": now, "weight": weight, "retire_at": None, "confirmed": True, **changes})
    brought = changes.get("revision", state.revision + 1)  # a change whose revision is not known yet ends with the next one
    after = _timed(after, now, brought)
    deployments = tuple(_beside(one, after, now, window) for one in state.deployments)
    revision = max(state.revision, after.revision)
    return evolve(state, revision=revision, deployments=_pruned(tuple(after if one.number == number else one for one in deployments)))


def _beside(one: Deployment, changed: Deployment, now: datetime, window: timedelta | None) -> Deployment:
    """What a change of one deployment means for the live one beside it."""
    if one.status is not S.LIVE or one.number == changed.number:
        return one
    if changed.status is S.LIVE:
        retire_at = now if window is None else now + window
        why = f"superseded by {changed.deployment_id}"
        over = evolve(one, status=S.DRAINING, weight=0.0, changed=now, retire_at=retire_at, reason=why)
        return _timed(over, now, changed.revision)
    return evolve(one, weight=1.0 - changed.weight) if changed.status in ON_ITS_WAY or changed.status in TERMINAL else one


def _timed(one: Deployment, now: datetime, revision: int) -> Deployment:
    """The deployment with the time of what its state, which it entered with this routing revision, begins or ends."""
    plan, run, served, test = one.rollout, one.shadow, one.served, one.test
    over = one.status is S.LIVE or one.status in TERMINAL
    if plan is not None and plan.started is not None and plan.ended is None and over:
        plan = evolve(plan, ended=now, end_revision=revision)
    if run is not None and run.started is not None and run.stopped is None and (over or (one.status in _PARTIAL and one.confirmed)):
        run = evolve(run, stopped=now, end_revision=revision)
    if one.status is S.LIVE and (test is None or test.ended is None):
        served, test = Served(now, revision), None if test is None else evolve(test, started=now)
    elif served is not None and served.ended is None and one.status in _SUPERSEDED:
        served = evolve(served, ended=now, end_revision=revision)
    return evolve(one, rollout=plan, shadow=run, served=served, test=test)


def planned(state: EndpointState) -> tuple[Variant, ...]:
    """The routes that the state asks for."""
    live = () if state.live is None else state.live.variants
    if state.open is None or state.open.weight == 0:
        return live
    return mix(live, state.open.variants, state.open.weight)


def forget(state: EndpointState, revision: int) -> EndpointState:
    """The same state over a deployer that lost its routes and counts its revisions anew; so do an open canary and a shadow."""
    return evolve(state, revision=revision, deployments=tuple(_recounted(one, revision) for one in state.deployments))


def _recounted(one: Deployment, revision: int) -> Deployment:
    rollout, shadow, served = one.rollout, one.shadow, one.served
    if rollout is not None and rollout.ended is None:
        rollout = evolve(rollout, first_revision=revision, step_revision=revision)
    if shadow is not None and shadow.stopped is None:
        shadow = evolve(shadow, first_revision=revision)
    if served is not None and served.ended is None:
        served = evolve(served, first_revision=revision)
    return evolve(one, revision=min(one.revision, revision), rollout=rollout, shadow=shadow, served=served)


def renewed(state: EndpointState, revision: int) -> EndpointState:
    """The same state with its routes set once more, at another revision; an open canary has its share there too."""
    deployments = tuple(
        one if one.rollout is None or one is not state.open else evolve(one, rollout=_weighed(one.rollout, revision, one.weight))
        for one in state.deployments
    )
    return evolve(state, revision=max(state.revision, revision), deployments=deployments)


def _weighed(rollout: Rollout, revision: int, weight: float) -> Rollout:
    return evolve(rollout, weights={**rollout.weights, revision: weight})


def relocate(state: EndpointState, number: int, url: str) -> EndpointState:
    """The same state with a deployment at another address."""
    return replaced(state, evolve(state.get(number), url=url))


def replaced(state: EndpointState, changed: Deployment) -> EndpointState:
    """The same state with a deployment in place of the one of its number."""
    return evolve(state, deployments=tuple(changed if one.number == changed.number else one for one in state.deployments))


def follow(state: EndpointState, number: int, routes: Sequence[Variant], revision: int, *, now: datetime, reason: str) -> EndpointState:
    """The state after traffic was moved away from ``number``: it and what stood on it are rolled back, what took over is live again."""
    state = evolve(state, revision=revision)
    routed = {number_of(variant) for variant in routes}
    for one in state.deployments:
        if one.status in TERMINAL or one.number in routed or one.status is S.DRAINING:
            continue
        if one.number == number or (one.number > number and one.status in ROUTED):
            why = reason if one.number == number else f"{reason}; it stood on deployment {number}"
            state = move(state, one.number, S.ROLLED_BACK, now=now, reason=why, revision=revision)
    for one in state.deployments:
        if one.number in routed and one.status is S.DRAINING:
            why = f"live again: deployment {number} was rolled back"
            state = move(state, one.number, S.LIVE, now=now, reason=why, revision=revision)
    return state


def _pruned(deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    over = [one.number for one in deployments if one.status in TERMINAL]
    dropped = set(over[:-_KEPT])
    return tuple(one for one in deployments if one.number not in dropped)
