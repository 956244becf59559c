"""What the facade's calls do at one endpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from mlops_core.deployment.desk import EndpointBusyError
from mlops_core.deployment.drive import Driver
from mlops_core.deployment.endpoint import EndpointState, create, move, planned, relocate, renewed, replaced
from mlops_core.deployment.guard import one_line
from mlops_core.deployment.reconcile import due, reconcile, sweep
from mlops_core.deployment.rollback import NeedsDeployment, move_traffic, record
from mlops_core.deployment.routes import shares_of
from mlops_core.deployment.shadow import is_as_planned, open_shadow, told_to_go_on
from mlops_core.deployment.split import finish, is_due
from mlops_core.deployment.states import ON_ITS_WAY
from mlops_core.exceptions import DeploymentError, MLOpsError
from mlops_core.records import Deployment, Rollout, Served, ShadowRun, SplitTest
from mlops_core.records import DeploymentStatus as S

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mlops_core.deployment.desk import Desk

__all__ = ["Order", "advance", "deploy", "follow", "pause", "place", "resume", "roll_back", "withdraw"]

_LOG: Final = logging.getLogger(__name__)
_HELD: Final = frozenset({S.SHADOW, S.CANARY, S.PAUSED})
_FOLLOWED: Final = ON_ITS_WAY - {S.PAUSED, S.ROLLBACK_FAILED}
_SHORTEST_POLL, _LONGEST_POLL = 0.05, 5.0


@frozen
class Order:
    """What to deploy: versions with their shares, registered and checked. ``key`` makes a repeated order the same one; empty: none.

    ``shadow``: for copies of requests only. ``returns``: it brings back what an earlier deployment served.
    """

    weights: Mapping[str, float]
    key: str = ""
    rollout: Rollout | None = None
    shadow: bool = False
    test: SplitTest | None = None
    reason: str = ""
    returns: bool = False


def place(desk: Desk, order: Order) -> Deployment:
    """Write a pending deployment down, for the control loop to carry out; or find the one that this order made before, or that serves it.

    The open shadow of what is ordered goes on to it, as the same deployment.

    Raises:
        DeploymentError: Another deployment is on its way.
    """
    name, known = _known(desk, order)
    if known is not None:
        return known
    state = desk.ledger.read()
    _check_new(desk, state, order)
    live = _live_as(state, order)
    if live is not None and not _missing(desk, live):
        return _answer(desk, live, order, name)
    now = desk.stack.clock.now()
    plan: dict[str, Any] = {"rollout": order.rollout, "reason": order.reason, "test": order.test}
    run = ShadowRun() if order.shadow else None

    def change(state: EndpointState) -> EndpointState:
        if (one := open_shadow(state, order.weights)) is not None:
            return state if order.shadow else told_to_go_on(state, one, now, **plan)
        return create(state, desk.endpoint, order.weights, now=now, returns=order.returns, key=name, shadow=run, **plan)

    state = desk.ledger.change(change, key=name)
    return (desk.ledger.of_key(name) if name else None) or state.get(state.number)


def deploy(desk: Desk, order: Order, patience: float) -> Deployment:
    """Carry an order out: until it is live, or its canary has begun.

    Raises:
        DeploymentError: It failed, and nothing else changed; or another is on its way.
    """
    with desk.alone(patience):
        state = reconcile(desk)
        name, known = _known(desk, order)
        if known is None and (live := _live_as(state, order)) is not None:
            known = _answer(desk, live, order, name)
        if known is None:
            if state.open is not None and state.open.status not in _HELD:  # the process that began it has died
                Driver(desk, desk.stack.clock.now()).run(state.open.number)
                state = desk.ledger.read()
            known = place(desk, order)
        if known.status is S.LIVE:
            _wake(desk, known)
        driver = Driver(desk, desk.stack.clock.now())
        done = _carry_out(driver, known.number, patience)
        sweep(desk, desk.stack.clock.now())
    if done.status is S.FAILED or driver.cause is not None:
        raise DeploymentError(f"deployment {done.deployment_id}: {done.reason}") from driver.cause
    return done


def _carry_out(driver: Driver, number: int, patience: float) -> Deployment:
    """Take it as far as it goes, also past routes that take their time to hold: ``patience`` seconds at most."""
    desk, clock = driver.desk, driver.desk.stack.clock
    deadline = clock.monotonic() + patience
    done = driver.run(number)
    while driver.waits and (left := deadline - clock.monotonic()) > 0:
        desk.settled(left)
        driver.now = clock.now()
        done = driver.run(number)
    if driver.waits:
        raise DeploymentError(
            f"deployment {done.deployment_id}: its routes do not hold after {patience:g} s - the control loop goes on with it"
        )
    return done


def _live_as(state: EndpointState, order: Order) -> Deployment | None:
    """The live deployment if it is what is ordered, and nothing is on its way."""
    live = state.live if order.rollout is None and not order.shadow and state.open is None else None
    return live if live is not None and shares_of(live.variants) == order.weights else None


def _answer(desk: Desk, live: Deployment, order: Order, key: str) -> Deployment:
    """The live deployment as it is, but for an end of its test that was named anew; a test that is over begins once more."""
    if order.test is None:
        return desk.ledger.note(live, key)
    if live.test is not None and live.test.ended is not None:
        return _begin_anew(desk, live, order.test, key)
    begun = live.changed if live.test is None else live.test.started
    test = evolve(order.test, started=begun)
    return desk.ledger.change(lambda before: replaced(before, evolve(before.get(live.number), test=test)), key=key).get(live.number)


def _begin_anew(desk: Desk, live: Deployment, test: SplitTest, key: str) -> Deployment:
    """Set the same shares once more: nothing that was counted before their new routing revision decides the test."""
    _wake(desk, live)
    revision = desk.deployer.set_routes(desk.endpoint, live.variants, None, desk.ledger.read().revision)
    now = desk.stack.clock.now()

    def change(state: EndpointState) -> EndpointState:
        one = state.get(live.number)
        begun = evolve(one, revision=revision, served=Served(now, revision), test=evolve(test, started=now))
        return replaced(renewed(state, revision), begun)

    return desk.ledger.change(change, key=key).get(live.number)


def _missing(desk: Desk, one: Deployment) -> list[str]:
    """Versions of a deployment that are not loaded."""
    return sorted(shares_of(one.variants).keys() - set(desk.deployer.observe(desk.endpoint).loaded))


def _wake(desk: Desk, live: Deployment) -> None:
    """Have what is live answer requests, also where its server was shut down; it may answer at another address now."""
    if missing := _missing(desk, live):
        desk.load(missing)
        reconcile(desk)
        url = desk.url_of(live)
        desk.ledger.change(lambda before: relocate(before, live.number, url))


def _check_new(desk: Desk, state: EndpointState, order: Order) -> None:
    """A canary and a shadow are compared with the live version: it has to be another one, and a shadow needs one."""
    what = "shadow" if order.shadow else "canary"
    live = set() if state.live is None else {variant.version for variant in state.live.variants}
    if (order.shadow or order.rollout is not None) and (both := sorted(live & order.weights.keys())):
        raise DeploymentError(f"{what}: version {both[0]} is live already in {desk.endpoint.environment} - give another version")
    if order.shadow and not live:
        raise DeploymentError(
            f"shadow: nothing is live in {desk.endpoint.environment} whose requests it could be given - deploy a version first"
        )


def roll_back(desk: Desk, number: int, reason: str, patience: float) -> Deployment:
    """Return to what served before: traffic first.

    Raises:
        DeploymentError: It serves nothing any more, or the traffic could not be moved.
    """
    try:
        done = record(desk, number, move_traffic(desk, number), reason)
    except NeedsDeployment as needed:
        done = _return_to(desk, number, needed.deployment, reason, patience)
    except MLOpsError as error:
        _note_failure(desk, number, f"{reason}; the traffic could not be moved: {one_line(error)}")
        raise
    if done.status is not S.ROLLED_BACK:
        raise DeploymentError(f"deployment {done.deployment_id}: is {done.status} and takes no requests - there is nothing to roll back")
    _check_settled(desk, f"deployment {done.deployment_id}: rolled back", patience)
    _tidy(desk)
    return done


def _check_settled(desk: Desk, said: str, patience: float) -> None:
    """Wait for routes that take their time to hold; those that fail or do not hold yet are told, and looked after by the control loop."""
    seen = desk.settled(patience)
    if seen.operation == "failed":
        reason = seen.detail.get("reason") or "the deployer gives no reason"
        raise DeploymentError(f"{said}, but the endpoint does not follow: {reason} - the control loop, `mlops watch`, tries again")
    if seen.operation == "applying":
        raise DeploymentError(
            f"{said}, but the endpoint is still changing after {patience:g} s - the control loop, `mlops watch`, looks again"
        )


def _tidy(desk: Desk) -> None:
    """Release what was rolled back; what keeps that from happening now, a later pass of the control loop finds mended."""
    try:
        with desk.alone(0):
            sweep(desk, desk.stack.clock.now())
    except Exception as error:  # noqa: BLE001  the rollback is done, whatever the registry raises
        _LOG.info("endpoint %s: not tidied up after a rollback: %s", desk.endpoint.model, one_line(error))


def _return_to(desk: Desk, number: int, target: Deployment, reason: str, patience: float) -> Deployment:
    """The rollback window has passed: deploy the old versions again, then mark the deployment as rolled back."""
    state = desk.ledger.read()
    if state.open is not None and state.open.number > number:
        roll_back(desk, state.open.number, reason, patience)
    reason_back = f"rollback of {desk.name(number)} to {target.deployment_id}"
    back = deploy(desk, Order(shares_of(target.variants), reason=reason_back, returns=True), patience)
    if back.number == number:
        raise DeploymentError(f"deployment {back.deployment_id}: it serves what it would return to - look at its status and try again")
    now = desk.stack.clock.now()
    desk.ledger.change(lambda before: move(before, number, S.ROLLED_BACK, now=now, reason=reason))
    return desk.ledger.deployment(number)


def _note_failure(desk: Desk, number: int, reason: str) -> None:
    """The control loop repeats what is written down as failed; where the journal cannot be reached either, the caller is all there is."""
    now = desk.stack.clock.now()

    def change(state: EndpointState) -> EndpointState:
        one = state.find(number)
        if one is None or one.status in {S.ROLLED_BACK, S.RETIRED, S.FAILED, S.DRAINING, S.LIVE}:
            return state
        return move(state, number, S.ROLLBACK_FAILED, now=now, reason=reason, weight=one.weight)

    try:
        desk.ledger.change(change)
    except MLOpsError:
        return


def advance(desk: Desk, now: datetime) -> tuple[Deployment, ...]:
    """One pass: reconcile, take the open deployment as far as it goes, release what is due. Answers what changed."""
    before = desk.ledger.read()
    if not _has_work(desk, before, now):
        return ()
    try:
        with desk.alone(0):
            state = finish(desk, reconcile(desk), now)
            if state.open is not None:
                Driver(desk, now).run(state.open.number)
            state = sweep(desk, now)
    except EndpointBusyError:
        return ()
    return tuple(one for one in state.deployments if before.find(one.number) != one)


def follow(desk: Desk, one: Deployment, told: Callable[[Deployment], None] | None) -> Deployment:
    """Do the control loop's work for one canary until it ends or is held; where the loop itself is at it, wait for that.

    ``told`` hears of it at once and after each pass.
    """
    hear = told or (lambda _: None)
    hear(one)
    while one.status in _FOLLOWED and one.rollout is not None:
        poll = one.rollout.step_time / timedelta(seconds=10)
        desk.stack.clock.sleep(min(max(poll, _SHORTEST_POLL), _LONGEST_POLL))
        advance(desk, desk.stack.clock.now())
        one = desk.ledger.deployment(one.number)
        hear(one)
    return one


def _has_work(desk: Desk, state: EndpointState, now: datetime) -> bool:
    if state.number == 0:
        return False
    if state.open is not None or is_due(state, now):
        return True
    seen = desk.deployer.observe(desk.endpoint)
    wanted = planned(state)
    if due(state, seen, now) or desk.unneeded(state, seen):
        return True
    amiss = not is_as_planned(state, seen) or seen.operation == "failed" or not {one.version for one in wanted} <= set(seen.loaded)
    return amiss and seen.detail.get("server") != "stopped"


def withdraw(desk: Desk, reason: str, patience: float) -> Deployment:
    """Take the endpoint out of service and release its versions.

    Raises:
        DeploymentError: Nothing is live, or a deployment is on its way.
    """
    now = desk.stack.clock.now()
    with desk.alone(patience):
        state = reconcile(desk)
        if state.open is not None:
            raise DeploymentError(
                f"deployment {state.open.deployment_id}: is {state.open.status} - roll it back before you withdraw the endpoint"
            )
        if state.live is None:
            raise DeploymentError(f"endpoint {desk.endpoint.environment}/{desk.endpoint.model}: nothing is live here")
        number = state.live.number
        state = desk.ledger.change(lambda before: move(before, number, S.DRAINING, now=now, reason=reason, retire_at=now))
        revision = desk.route((), None, state.revision, again=True).revision
        desk.ledger.change(lambda before: evolve(before, revision=revision))
        _check_settled(desk, f"deployment {desk.name(number)}: withdrawn", patience)
        sweep(desk, now)
    return desk.ledger.deployment(number)


def pause(desk: Desk, number: int, reason: str) -> Deployment:
    """Hold a canary where it is."""
    now = desk.stack.clock.now()

    def change(state: EndpointState) -> EndpointState:
        one = state.get(number)
        return state if one.status is S.PAUSED else move(state, number, S.PAUSED, now=now, reason=reason, confirmed=one.confirmed)

    return desk.ledger.change(change).get(number)


def resume(desk: Desk, number: int, reason: str) -> Deployment:
    """Let a held canary go on: its step and its deadline begin anew."""
    now = desk.stack.clock.now()

    def change(state: EndpointState) -> EndpointState:
        one = state.get(number)
        if one.status is S.CANARY:
            return state
        if one.status is not S.PAUSED:
            raise DeploymentError(f"deployment {one.deployment_id}: is {one.status} and not held - there is nothing to resume")
        plan = one.rollout
        anew = None if plan is None else evolve(plan, step_started=now, ends=now + plan.deadline)
        return move(state, number, S.CANARY, now=now, reason=reason, rollout=anew, confirmed=one.confirmed)

    return desk.ledger.change(change).get(number)


def _known(desk: Desk, order: Order) -> tuple[str, Deployment | None]:
    """The key to use, and the deployment that it made. One that failed did nothing, so the same order may be tried again."""
    if not order.key:
        return "", None
    for attempt in count(1):
        name = order.key if attempt == 1 else f"{order.key}#{attempt}"
        found = desk.ledger.of_key(name)
        if found is None or found.status is not S.FAILED:
            return name, found
    raise AssertionError("counting does not end")
