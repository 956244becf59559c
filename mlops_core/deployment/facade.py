"""The facade of deployments."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from mlops_core.clock import aware
from mlops_core.config.settings import CanarySettings
from mlops_core.deployment import work
from mlops_core.deployment.arguments import check_canary, check_id, check_key, check_model, check_timeout, check_weights
from mlops_core.deployment.asking import ask
from mlops_core.deployment.canary import rollout_of
from mlops_core.deployment.client import columns_as_lists
from mlops_core.deployment.compare import report
from mlops_core.deployment.counts import check_countable
from mlops_core.deployment.desk import Desk
from mlops_core.deployment.guard import guarded, one_line
from mlops_core.deployment.ledger import PREFIX
from mlops_core.deployment.plan import plan_of
from mlops_core.deployment.shadow import check_shadows
from mlops_core.deployment.split import by_version, check_end
from mlops_core.exceptions import DeploymentError
from mlops_core.records import Deployment, DeploymentStatus, Endpoint, EndpointKey, Plan, Prediction, RolloutReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta

    from mlops_core.stack import Stack

__all__ = ["ModelDeployment"]

_LOG: Final = logging.getLogger(__name__)
_TIMEOUT: Final = 300.0


class ModelDeployment:
    """Puts versions into use, by one state machine over every deployer.

    An endpoint is one model in one environment. A deployment's id is ``environment/model/number``. Stateless beside its stack: safe from
    several threads, processes and after a fork; several callers at one endpoint wait for each other.

    Args:
        tenant_id: The tenant; None for the project's.
        stack: The stack to stand on; None: that of the project (see ``mlops_core.stack.locate``).

    Raises:
        DeploymentError: From every method, one line. What was refused changed nothing.
        CapabilityError: The environment's deployer cannot do what was asked.
    """

    @guarded()
    def __init__(self, tenant_id: str | None = None, *, stack: Stack | None = None) -> None:
        self._stack = _stack(stack, tenant_id)

    @property
    def tenant_id(self) -> str:
        """Whose deployments these are."""
        return self._stack.tenant

    # --- putting into use

    @guarded()
    def deploy_model(
        self, model_id: str, version: str, environment: str, *, wait: bool = True, timeout: float = _TIMEOUT, key: str | None = None
    ) -> Deployment:
        """Load a version, warm it, and give it all requests of its endpoint.

        The version that was live stays loaded for the environment's ``rollback_window``. What is live already is answered as it is, once
        its server, if it was shut down, has started.

        Args:
            model_id: The registered model.
            version: Its version, or ``@alias``.
            environment: Where; ``prod`` is accepted for ``production``.
            wait: False: only write the deployment down; ``advance`` (the control loop) carries it out.
            timeout: Seconds that the load may take, that routes may take to hold, and that another caller at this endpoint is waited for.
            key: Names the request, so that repeating it deploys nothing twice.

        Raises:
            DeploymentError: Unknown names, a version that does not load or is unhealthy, a gate's veto.
        """
        desk = self._desk(model_id, environment, timeout)
        order = work.Order({desk.version(version).version: 1.0}, check_key(key))
        return work.deploy(desk, order, desk.timeout) if wait else work.place(desk, order)

    @guarded()
    def promote(
        self, model_id: str, from_environment: str, to_environment: str, *, timeout: float = _TIMEOUT, key: str | None = None
    ) -> Deployment:
        """Deploy in one environment what is live in another.

        Raises:
            DeploymentError: Nothing is live there, or several versions are.
        """
        source = self._desk(model_id, from_environment, timeout)
        live = source.ledger.read().live
        if live is None or len(live.variants) != 1:
            said = "nothing is live" if live is None else "several versions are live"
            raise DeploymentError(f"promote: {said} in {from_environment} - deploy one version there first, or name it to deploy_model")
        desk = self._desk(model_id, to_environment, timeout)
        order = work.Order({desk.version(live.version).version: 1.0}, check_key(key), reason=f"promoted from {live.deployment_id}")
        return work.deploy(desk, order, desk.timeout)

    @guarded()
    def set_traffic(
        self,
        model_id: str,
        environment: str,
        weights: dict[str, float],
        *,
        until: datetime | timedelta | None = None,
        then: str = "hold",
        metric: str | None = None,
        timeout: float = _TIMEOUT,
        key: str | None = None,
    ) -> Deployment:
        """Share an endpoint's requests among versions (an A/B test): one deployment that loads what is not loaded yet.

        ``advance`` ends the test at ``until``. With the shares that are live already, an end that is given replaces the one before.

        Args:
            model_id: The registered model.
            environment: Where.
            weights: Fractions by version that sum to 1, such as ``{"1.0.0": 0.9, "2.0.0": 0.1}``.
            until: When the test ends, an aware time or a duration from now; None: when somebody ends it.
            then: ``hold`` keeps the shares; a version takes all; ``best``: the one that is proved to be so, else the shares are kept.
            metric: What ``best`` is decided by, such as ``p95_latency`` or ``live.accuracy``; None: ``error_rate``.
            timeout: As for ``deploy_model``.
            key: As for ``deploy_model``.
        """
        desk = self._desk(model_id, environment, timeout)
        shares = by_version(desk, check_weights(weights))
        test = check_end(desk, shares, until, then, metric)
        return work.deploy(desk, work.Order(shares, check_key(key), test=test), desk.timeout)

    @guarded()
    def start_canary(
        self,
        model_id: str,
        version: str,
        environment: str,
        *,
        canary: CanarySettings | None = None,
        wait: bool = False,
        told: Callable[[Deployment], None] | None = None,
        timeout: float = _TIMEOUT,
        key: str | None = None,
    ) -> Deployment:
        """Give a version a small share of the requests, and more with each step, while it keeps its objectives.

        ``advance`` judges it and takes the steps. An endpoint without a live version skips the canary, and the answer's ``reason`` says so.
        Without a rate among the objectives, ``monitoring.max_error_rate`` is one.

        Args:
            model_id: The registered model.
            version: Its version, or ``@alias``.
            environment: Where.
            canary: Steps, times and objectives; None: the defaults.
            wait: True: repeat ``advance`` here until it is live, rolled back, or held.
            told: With ``wait``, called with the deployment at once and after each pass.
            timeout: As for ``deploy_model``; the canary's own end is its deadline.
            key: As for ``deploy_model``.
        """
        plan = check_canary(CanarySettings() if canary is None else canary)
        desk = self._desk(model_id, environment, timeout)
        rollout = rollout_of(plan, self._stack.settings.monitoring.max_error_rate)
        check_countable(desk, rollout.slo)
        order = work.Order({desk.version(version).version: 1.0}, check_key(key), rollout)
        done = work.deploy(desk, order, desk.timeout)
        return work.follow(desk, done, told) if wait else done

    @guarded()
    def start_shadow(
        self, model_id: str, version: str, environment: str, *, wait: bool = True, timeout: float = _TIMEOUT, key: str | None = None
    ) -> Deployment:
        """Give a version copies of the live version's requests; its answers go nowhere, and what it does is counted under its own name.

        It goes on when ``start_canary`` or ``deploy_model`` is called with the same version, as the same deployment, and ends with
        ``rollback_deployment``. ``compare`` holds it against the live version.

        Args:
            model_id: The registered model.
            version: Its version, or ``@alias``.
            environment: Where.
            wait: False: only write the deployment down; ``advance`` (the control loop) carries it out.
            timeout: As for ``deploy_model``.
            key: As for ``deploy_model``.

        Raises:
            CapabilityError: The environment's deployer has no shadows.
            DeploymentError: Nothing is live there, the version is live already, or another deployment is on its way.
        """
        desk = self._desk(model_id, environment, timeout)
        check_shadows(desk)
        order = work.Order({desk.version(version).version: 1.0}, check_key(key), shadow=True)
        return work.deploy(desk, order, desk.timeout) if wait else work.place(desk, order)

    @guarded()
    def plan(self, model_id: str, version: str, environment: str, *, weight: float | dict[str, float] = 1.0) -> Plan:
        """What deploying a version would call, and the instances that would serve then. Changes nothing.

        Args:
            model_id: The registered model.
            version: Its version, or ``@alias``.
            environment: Where.
            weight: Its share of the requests, above 0; what is live keeps the rest, as in a step of a canary. Or the shares of an A/B test,
                its own among them, as ``set_traffic`` takes them.
        """
        desk = self._desk(model_id, environment, _TIMEOUT)
        return plan_of(desk, desk.version(version), weight)

    # --- taking back

    @guarded()
    def rollback_deployment(
        self,
        deployment_id: str | None = None,
        *,
        model_id: str | None = None,
        environment: str | None = None,
        reason: str = "rolled back by hand",
        timeout: float = _TIMEOUT,
    ) -> Deployment:
        """Return to what served before; the first deployment of an endpoint is withdrawn.

        The traffic moves first, and without the registry; the journal follows when it can be reached. After the rollback window the old
        version has to be loaded again, which takes a deployment of its own.

        Args:
            deployment_id: Which; or give ``model_id`` and ``environment`` for the one on its way there, else the live one.
            model_id: The model.
            environment: Where.
            reason: Kept in the journal.
            timeout: As for ``deploy_model``.

        Returns:
            The deployment, rolled back; a second call answers the same.
        """
        desk, number = self._named(deployment_id, model_id, environment, timeout)
        return work.roll_back(desk, number, reason, desk.timeout)

    @guarded()
    def withdraw(self, model_id: str, environment: str, *, reason: str = "withdrawn by hand", timeout: float = _TIMEOUT) -> Deployment:
        """Take an endpoint out of service; answers the deployment that was live."""
        desk = self._desk(model_id, environment, timeout)
        return work.withdraw(desk, reason, desk.timeout)

    @guarded()
    def shutdown(self, environment: str) -> None:
        """End an environment's server and everything it started. Its routes stay: the next deployment starts it with them."""
        desk = self._desk("any", environment, _TIMEOUT)
        desk.deployer.shutdown()

    # --- rollouts

    @guarded()
    def pause(self, deployment_id: str, *, reason: str = "paused by hand") -> Deployment:
        """Hold a canary at the share it has."""
        desk, number = self._named(deployment_id, None, None, _TIMEOUT)
        return work.pause(desk, number, reason)

    @guarded()
    def resume(self, deployment_id: str, *, reason: str = "resumed by hand") -> Deployment:
        """Let a held canary go on; its step and its deadline begin anew."""
        desk, number = self._named(deployment_id, None, None, _TIMEOUT)
        return work.resume(desk, number, reason)

    @guarded()
    def advance(self, now: datetime | None = None) -> tuple[Deployment, ...]:
        """One pass over everything that is open: judge canaries, carry out what waits, release what is due, repair what crashed.

        A pass of the control loop; a second one at once changes nothing. An endpoint that fails is logged and stops no other.

        Args:
            now: An aware time; None: the present.

        Returns:
            The deployments that changed.
        """
        at = self._stack.clock.now() if now is None else aware(now, "now", DeploymentError)
        changed: list[Deployment] = []
        for environment, model in self._endpoints():
            try:
                changed += work.advance(self._desk(model, environment, _TIMEOUT), at)
            except Exception as error:  # noqa: BLE001  whatever a backend raises
                _LOG.warning("endpoint %s/%s: %s", environment, model, one_line(error))
        return tuple(changed)

    # --- looking

    @guarded()
    def get(self, deployment_id: str) -> Deployment:
        """One deployment as it is now, or was when it ended."""
        desk, number = self._named(deployment_id, None, None, _TIMEOUT)
        return desk.ledger.deployment(number)

    @guarded()
    def status(self, model_id: str, environment: str) -> Endpoint:
        """An endpoint: its routes as the deployer has them, what is live and what is on its way."""
        desk = self._desk(model_id, environment, _TIMEOUT)
        state, seen = desk.ledger.read(), desk.deployer.observe(desk.endpoint)
        return Endpoint(
            environment=desk.endpoint.environment,
            model=desk.endpoint.model,
            url=seen.url,
            revision=seen.revision,
            routes=seen.routes,
            shadow=seen.shadow,
            loaded=seen.loaded,
            kept=tuple(one for one in state.deployments if one.status is DeploymentStatus.DRAINING),
            live=state.live,
            open=state.open,
            detail=seen.detail,
        )

    @guarded()
    def list(self, environment: str | None = None) -> tuple[Endpoint, ...]:
        """Every endpoint that has had a deployment, by environment and model."""
        return tuple(self.status(model, name) for name, model in self._endpoints(environment))

    @guarded()
    def history(self, model_id: str, environment: str) -> tuple[Deployment, ...]:
        """Every deployment of an endpoint, oldest first, each as it is now or was when it ended."""
        return tuple(self._desk(model_id, environment, _TIMEOUT).ledger.history())

    @guarded()
    def compare(self, deployment_id: str | None = None, *, model_id: str | None = None, environment: str | None = None) -> RolloutReport:
        """What the versions of a rollout did since it began, side by side: a shadow's, or a canary's, and the live one's.

        Args:
            deployment_id: Which; or give ``model_id`` and ``environment`` for the one on its way there, else the live one.
            model_id: The model.
            environment: Where.
        """
        desk, number = self._named(deployment_id, model_id, environment, _TIMEOUT)
        return report(desk, number)

    @guarded()
    def predict(self, model_id: str, environment: str, columns: Any, *, unit: str | None = None, timeout: float = 30.0) -> Prediction:
        """Send one request to an endpoint.

        Args:
            model_id: The model.
            environment: Where.
            columns: Values per row by column: a mapping of lists or arrays, or a data frame.
            unit: Who asks: the same unit meets the same variant while the routes stay.
            timeout: Seconds to wait for the answer, whoever gives it. The prediction itself is not ended.

        Raises:
            DeploymentError: Nothing is deployed there, the columns do not fit, the model failed, or it did not answer in time.
        """
        return ask(self._desk(model_id, environment, _TIMEOUT), columns_as_lists(columns), unit, timeout)

    # --- inside

    def _desk(self, model: Any, environment: Any, timeout: Any) -> Desk:
        check_model(model, environment)
        known = self._stack.parts.environments
        name = "production" if environment == "prod" and "prod" not in known else environment
        self._stack.environment(name)
        return Desk(self._stack, EndpointKey(self.tenant_id, name, model), check_timeout(timeout))

    def _named(self, deployment_id: Any, model: Any, environment: Any, timeout: Any) -> tuple[Desk, int]:
        """The endpoint and number that an id, or a model and environment, mean."""
        if deployment_id is not None:
            environment, model, number = check_id(deployment_id)
            return self._desk(model, environment, timeout), number
        desk = self._desk(model, environment, timeout)
        state = desk.ledger.read()
        meant = state.open or state.live
        if meant is None:
            raise DeploymentError(f"endpoint {desk.endpoint.environment}/{model}: nothing is live or on its way here")
        return desk, meant.number

    def _endpoints(self, environment: str | None = None) -> Iterator[tuple[str, str]]:
        """Environment and model of every endpoint that has a journal."""
        for name in sorted(self._stack.parts.environments):
            if environment in (None, name) or (environment == "prod" and name == "production"):
                prefix, cursor = f"{PREFIX}{name}/", None
                while True:
                    page = self._stack.parts.registry.journals(self.tenant_id, prefix, cursor=cursor)
                    yield from ((name, head.name.removeprefix(prefix)) for head in page.items)
                    if (cursor := page.cursor) is None:
                        break


def _stack(stack: Stack | None, tenant: str | None) -> Stack:
    from mlops_core.stack import stack_for

    return stack_for(stack, tenant)
