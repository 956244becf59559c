"""One deployment from state to state, as far as it goes without waiting."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from mlops_core.deployment.canary import Move, Verdict, looked, pace, processes
from mlops_core.deployment.counts import crashes, look_at
from mlops_core.deployment.desk import Desk, RoutesRefusedError
from mlops_core.deployment.endpoint import EndpointState, move, planned
from mlops_core.deployment.guard import one_line
from mlops_core.deployment.rollback import move_traffic, record
from mlops_core.deployment.shadow import shadow_of
from mlops_core.deployment.states import TERMINAL
from mlops_core.exceptions import ConflictError, DeploymentError, MLOpsError
from mlops_core.records import Deployment, HealthStatus, Rollout
from mlops_core.records import DeploymentStatus as S

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Driver"]

_SKIPPED = "no live version to compare with: the canary was skipped"
_ALONE = "nothing is live whose requests it could be given"


@define(eq=False)
class Driver:
    """Does what the states of one endpoint's open deployment stand for; the caller holds the endpoint's lease.

    Each state is entered in the journal before its effect, and the next one, or its confirmation, after it; so a process that dies
    between the two repeats an effect that may be repeated, and never a deployment. ``cause``: what made one fail. ``waits``: its routes
    are set and do not hold yet; to be run again once they do.
    """

    desk: Desk
    now: datetime
    cause: Exception | None = field(default=None, init=False)
    waits: bool = field(default=False, init=False)

    def run(self, number: int) -> Deployment:
        """Go on until the deployment is over, is live, or has to wait."""
        self.waits = False
        steps: dict[S, Callable[[EndpointState, Deployment], bool]] = {
            S.PENDING: lambda _, one: self._enter(one, S.LOADING),
            S.LOADING: self._load,
            S.WARMING: self._warm,
            S.READY: self._begin,
            S.SHADOW: self._shadow,
            S.CANARY: self._canary,
            S.PAUSED: self._canary,
            S.PROMOTING: self._promote,
            S.ROLLING_BACK: self._back,
            S.ROLLBACK_FAILED: self._back,
        }
        while True:
            state = self.desk.ledger.read()
            one = state.find(number) or self.desk.ledger.deployment(number)
            step = steps.get(one.status)
            if step is None or not step(state, one):
                return self.desk.ledger.deployment(number)

    # --- one state each; true: go on

    def _load(self, state: EndpointState, one: Deployment) -> bool:
        try:
            self.desk.load(variant.version for variant in one.variants)
        except MLOpsError as error:
            return self._fail(one, one_line(error), error)
        return self._enter(one, S.WARMING)

    def _warm(self, state: EndpointState, one: Deployment) -> bool:
        for variant in one.variants:
            health = self.desk.deployer.health(self.desk.endpoint, variant.version)
            if health.status not in {HealthStatus.HEALTHY, HealthStatus.DEGRADED}:
                return self._fail(one, f"version {variant.version} is {health.status}: {health.detail}", None)
        return self._enter(one, S.READY, url=self.desk.url_of(one))

    def _begin(self, state: EndpointState, one: Deployment) -> bool:
        if one.shadow is not None and one.shadow.ended is None:
            refusal = _ALONE if state.live is None else self.desk.gate(one.number, one.version, "shadow", 0.0)
            return self._fail(one, refusal, None) if refusal else self._enter(one, S.SHADOW, confirmed=False)
        plan = one.rollout
        partial = plan is not None and plan.steps[0] < 1 and state.live is not None
        weight = plan.steps[0] if plan is not None and partial else 1.0
        if veto := self.desk.gate(one.number, one.version, "deploy", weight):
            return self._roll_back(one, veto) if one.status is S.SHADOW else self._fail(one, veto, None)
        if plan is None or not partial:
            said = {"reason": _SKIPPED} if plan is not None and state.live is None else {}
            return self._enter(one, S.PROMOTING, confirmed=False, weight=1.0, **said)
        begun = evolve(plan, started=self.now, step_started=self.now, ends=self.now + plan.deadline)
        return self._enter(one, S.CANARY, confirmed=False, weight=weight, rollout=begun)

    def _shadow(self, state: EndpointState, one: Deployment) -> bool:
        """Give it copies until somebody has said what becomes of it; one under which a serving process dies is taken off."""
        run = one.shadow
        if run is None or run.ended is not None:
            return self._begin(state, one)
        if not one.confirmed:
            revision = self._route(state, one)
            begun = evolve(run, started=self.now, first_revision=revision or 0)
            return revision is not None and self._enter(one, S.SHADOW, revision=revision, shadow=begun)
        if died := crashes(self.desk.deployer.observe(self.desk.endpoint), run.first_revision):
            return self._roll_back(one, f"{processes(died)} ended unexpectedly while it was given copies of the requests")
        return False

    def _canary(self, state: EndpointState, one: Deployment) -> bool:
        """Judge it; one that is held goes no further, but it goes back."""
        plan = one.rollout
        if plan is None:
            raise DeploymentError(f"deployment {one.deployment_id}: a canary without a plan - roll it back")
        if not one.confirmed:
            return self._confirm_step(state, one, plan)
        look = look_at(self.desk, state, plan, self.now)
        seen, judgement = looked(look, plan)
        held = one.status is S.PAUSED and judgement.verdict is not Verdict.ROLLBACK
        return self._make(Move.WAIT if held else pace(look, plan, judgement), one, seen, judgement.reason)

    def _make(self, chosen: Move, one: Deployment, seen: Rollout, reason: str) -> bool:
        """A move, unless a gate vetoes that more traffic comes."""
        weight = seen.steps[seen.step + 1] if chosen is Move.STEP else 1.0
        if chosen in {Move.STEP, Move.PROMOTE}:
            veto = self.desk.gate(one.number, one.version, "canary_step" if chosen is Move.STEP else "promote", weight)
            chosen, reason = (Move.ROLLBACK, veto) if veto else (chosen, reason)
        match chosen:
            case Move.STEP:
                plan = evolve(seen, step=seen.step + 1, step_started=self.now)
                return self._enter(one, S.CANARY, confirmed=False, weight=weight, rollout=plan, reason=reason)
            case Move.PROMOTE:
                return self._enter(one, S.PROMOTING, confirmed=False, weight=weight, rollout=seen, reason=reason)
            case Move.PAUSE:
                return self._enter(one, S.PAUSED, rollout=seen, reason=f"held at the deadline: {reason}")
            case Move.ROLLBACK:
                return self._roll_back(one, reason)
        return False

    def _confirm_step(self, state: EndpointState, one: Deployment, plan: Rollout) -> bool:
        revision = self._route(state, one)
        if revision is None:
            return False
        first = revision if plan.step == 0 else plan.first_revision
        weights = {**plan.weights, revision: plan.steps[plan.step]}
        confirmed = evolve(plan, step_started=self.now, step_revision=revision, first_revision=first, weights=weights)
        self._enter(one, one.status, revision=revision, rollout=confirmed)
        return False

    def _promote(self, state: EndpointState, one: Deployment) -> bool:
        revision = self._route(state, one)
        if revision is None:
            return False
        window = self.desk.settings.rollback_window
        return self._enter(one, S.LIVE, revision=revision, url=self.desk.url_of(one), window=window)

    def _back(self, state: EndpointState, one: Deployment) -> bool:
        return self._roll_back(one, one.reason)

    # --- how

    def _route(self, state: EndpointState, one: Deployment) -> int | None:
        """The revision with the routes that the state asks for. None: they do not hold yet, or the deployment is rolled back.

        It is if the deployer refused them, or they failed to hold. Any other error, such as an outage, is raised: whoever comes next tries
        again.
        """
        try:
            seen = self.desk.route(planned(state), shadow_of(state), state.revision)
        except ConflictError as error:
            raise DeploymentError(f"{one_line(error)} - look at its status and try again") from error
        except RoutesRefusedError as error:
            self._refused(one, f"its routes were refused: {one_line(error)}", error)
            return None
        if seen.operation == "failed":
            reason = seen.detail.get("reason") or "the deployer gives no reason"
            self._refused(one, f"its routes failed to hold: {reason}", DeploymentError(reason))
        self.waits = seen.operation == "applying"
        return seen.revision if seen.operation == "applied" else None

    def _refused(self, one: Deployment, reason: str, cause: Exception) -> None:
        self._roll_back(one, reason)
        self.cause = cause

    def _enter(self, one: Deployment, to: S, **changes: Any) -> bool:
        """Write the next state down. Raises if the deployment was moved by somebody else meanwhile, such as by a rollback."""

        def change(state: EndpointState) -> EndpointState:
            found = state.get(one.number)
            if found.status is not one.status:
                raise DeploymentError(f"deployment {one.deployment_id}: became {found.status} meanwhile{_because(found)}")
            return move(state, one.number, to, now=self.now, **changes)

        self.desk.ledger.change(change)
        return True

    def _fail(self, one: Deployment, reason: str, cause: Exception | None) -> bool:
        """No request has met it: release it, and say why."""
        self.cause = cause
        self._enter(one, S.FAILED, reason=reason)
        self.desk.unload_unneeded(self.desk.ledger.read(), self.desk.deployer.observe(self.desk.endpoint))
        return False

    def _roll_back(self, one: Deployment, reason: str) -> bool:
        try:
            moved = move_traffic(self.desk, one.number)
        except MLOpsError as error:
            self.cause = error
            failed = f"{reason}; the traffic could not be moved: {one_line(error)}"
            self._enter(one, S.ROLLBACK_FAILED, reason=reason if one.status is S.ROLLBACK_FAILED else failed, weight=one.weight)
            return False
        if record(self.desk, one.number, moved, reason).status in TERMINAL:
            self.desk.unload_unneeded(self.desk.ledger.read(), self.desk.deployer.observe(self.desk.endpoint))
        return False


def _because(one: Deployment) -> str:
    return f" ({one.reason})" if one.reason else ""
