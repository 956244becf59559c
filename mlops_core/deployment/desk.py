"""One endpoint at work: its ledger, its deployer, and the questions that are asked of both."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import define, field

from mlops_core.config.settings import EnvironmentSettings, Use
from mlops_core.deployment.endpoint import deployment_id
from mlops_core.deployment.ledger import Ledger, journal_name
from mlops_core.deployment.ports import Ports
from mlops_core.deployment.states import TERMINAL
from mlops_core.deployment.tokens import Tokens, tokens_of
from mlops_core.exceptions import ConflictError, DeploymentError
from mlops_core.journal import Journal, Lease
from mlops_core.names import check_name
from mlops_core.records import EndpointKey, GateRequest, ModelVersion, Observed
from mlops_core.roles import Deployer
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Literal

    from mlops_core.deployment.endpoint import EndpointState
    from mlops_core.records import Deployment, Variant

__all__ = ["Desk", "EndpointBusyError", "RoutesRefusedError"]

_NOTHING_SAID: Final = EnvironmentSettings(Use(""))
_LEASE: Final = timedelta(seconds=5)
_POLL, _LONGEST_POLL = 0.1, 5.0
_TIMEOUT: Final = 300.0


class EndpointBusyError(DeploymentError):
    """Another process works on the endpoint."""


class RoutesRefusedError(DeploymentError):
    """The deployer does not set these routes. An endpoint that could not be looked at, or reached, says nothing of them."""


@define(eq=False)
class Desk:
    """Opened for each call: it holds nothing that outlives one. ``timeout``: seconds a load may take."""

    stack: Stack
    endpoint: EndpointKey
    timeout: float = _TIMEOUT
    deployer: Deployer = field(init=False)
    ledger: Ledger = field(init=False)
    ports: Ports = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.deployer = self.stack.environment(self.endpoint.environment)
        self.ledger = Ledger(self.stack, self.endpoint)
        self.ports = Ports(self.stack, self.endpoint.environment, self.timeout, guarded=bool(self.tokens))
        self.deployer.attach(self.endpoint.environment, self.ports)

    @property
    def settings(self) -> EnvironmentSettings:
        """What the configuration says of the environment."""
        return self.stack.settings.environments.get(self.endpoint.environment, _NOTHING_SAID)

    @property
    def tokens(self) -> Tokens:
        """Who may send requests."""
        return tokens_of(self.stack, self.endpoint.environment)

    def name(self, number: int) -> str:
        """The id of a deployment."""
        return deployment_id(self.endpoint, number)

    @contextlib.contextmanager
    def alone(self, patience: float) -> Iterator[None]:
        """Be the only one that works on this endpoint; waits ``patience`` seconds for another to end.

        Raises:
            EndpointBusyError: Another process is at it for longer.
        """
        lease = Lease(self.stack.parts.registry, self.endpoint.tenant, journal_name(self.endpoint), ttl=_LEASE)
        clock = self.stack.clock
        deadline = clock.monotonic() + patience
        while not lease.take():
            if clock.monotonic() >= deadline:
                raise EndpointBusyError(
                    f"endpoint {self.endpoint.environment}/{self.endpoint.model}: another process works on it - try again when it has ended"
                )
            clock.sleep(_POLL)
        try:
            yield
        finally:
            lease.release()

    def version(self, version: Any) -> ModelVersion:
        """A registered version; ``@name`` is what this alias points to.

        Raises:
            DeploymentError: There is none.
            VersioningError: It is not signed as ``registry.sign`` asks for.
        """
        wanted = version
        tenant, model, store = self.endpoint.tenant, self.endpoint.model, self.stack.parts.registry
        if isinstance(version, str) and version.startswith("@"):
            alias = check_name(version[1:], "alias", DeploymentError)
            wanted = Journal(store, tenant, f"aliases/{model}/{alias}").head().state.get("version") or ""
        elif isinstance(version, str):
            check_name(version, "version", DeploymentError)
        else:
            raise DeploymentError(f"version: expected text, got {type(version).__name__} - give a version such as '1.0.0'")
        found = store.get_version(tenant, model, wanted) if wanted else None
        if found is None or found.retired:
            raise DeploymentError(f"model {model}: no version {version!r} is registered - `mlops models` lists them")
        self.stack.signing.check(found)
        return found

    def gate(self, number: int, version: str, action: Literal["deploy", "shadow", "canary_step", "promote"], weight: float) -> str:
        """Ask every gate before traffic moves; answers the reason of a veto, or nothing."""
        at = self.stack.clock.now()
        request = GateRequest(self.endpoint.tenant, at, self.name(number), self.endpoint, version, action, weight)
        decision = self.stack.parts.gate(request)
        return "" if decision.allow else f"vetoed by a gate: {decision.reason or 'no reason given'}"

    def route(self, wanted: tuple[Variant, ...], shadow: str | None, known: int, *, again: bool = False) -> Observed:
        """Have these routes and this shadow, whoever set them; ``known`` is the revision that the ledger knows. Answers the endpoint.

        While another change is under way it is answered as it is, to be asked again. ``again``: wait for that, where it has to be waited
        for, and set routes that failed to hold once more.

        Raises:
            ConflictError: The traffic was moved by somebody else meanwhile.
            RoutesRefusedError: The deployer does not set them.
        """
        seen = self.deployer.observe(self.endpoint)
        if (seen.routes, seen.shadow) == (wanted, shadow) and not (again and seen.operation == "failed"):
            return seen
        if seen.operation == "applying" and not again:
            return seen
        if seen.revision == known:
            try:
                known = self.deployer.set_routes(self.endpoint, wanted, shadow, known)
            except DeploymentError as error:
                raise RoutesRefusedError(error.message) from error
            seen = self.deployer.observe(self.endpoint)
        if seen.revision != known:
            raise ConflictError(f"endpoint {self.endpoint.model}: traffic was moved meanwhile", head=seen.revision)
        return seen

    def settled(self, patience: float) -> Observed:
        """The endpoint once its routes hold or have failed to; or as it is after ``patience`` seconds."""
        clock, pause = self.stack.clock, _POLL
        deadline = clock.monotonic() + patience
        while (seen := self.deployer.observe(self.endpoint)).operation == "applying" and clock.monotonic() < deadline:
            clock.sleep(min(pause, deadline - clock.monotonic()))
            pause = min(2 * pause, _LONGEST_POLL)
        return seen

    def load(self, versions: Iterable[str]) -> None:
        """Have these versions loaded."""
        for version in versions:
            self.deployer.load(self.endpoint, self.version(version), self.ports)

    def unneeded(self, state: EndpointState, seen: Observed) -> list[str]:
        """Versions that are loaded and belong to no deployment that could still serve."""
        needed = {variant.version for variant in seen.routes} | {seen.shadow}
        needed |= {variant.version for one in state.deployments if one.status not in TERMINAL for variant in one.variants}
        return sorted(set(seen.loaded) - needed)

    def unload_unneeded(self, state: EndpointState, seen: Observed) -> None:
        """Release these."""
        for version in self.unneeded(state, seen):
            self.deployer.unload(self.endpoint, version)

    def url_of(self, deployment: Deployment) -> str:
        """Where requests for it go."""
        return self.deployer.observe(deployment.endpoint).url
