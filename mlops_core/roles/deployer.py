"""The deployer role: load versions, route requests to them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from mlops_core.exceptions import CapabilityError
from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from mlops_core.records import EndpointKey, Health, ModelVersion, Observed, Plan, Prediction, Variant
    from mlops_core.roles.ports import DeployContext, ServingHost

__all__ = ["Deployer"]


class Deployer(Backend):
    """Mechanism of one environment. The core adds the state machine, promotion, canary steps, gates and rollback.

    Capabilities: ``process`` (it serves in processes of its own, ``serve`` is implemented), ``in-process`` (``predict`` answers in this
    very process), ``predict`` (``predict`` sends the request its own way, and no url is asked), ``shadow`` (each routed request is also
    given to the shadow of the routes, which delays and fails no answer: what it answers goes nowhere, what it has no time for is dropped,
    and both are counted under its version), ``counters`` (``observe`` counts the requests of each version).
    """

    __slots__ = ()

    def attach(self, environment: str, context: DeployContext) -> None:
        """Learn the environment's name and ports, before any other call of the role. Does no I/O; a second call replaces the first."""

    @abstractmethod
    def load(self, endpoint: EndpointKey, version: ModelVersion, context: DeployContext) -> None:
        """Make a version ready to answer without routing anything to it. Loading a loaded version changes nothing.

        Raises:
            DeploymentError: It does not load; versions that serve are unharmed.
        """

    @abstractmethod
    def health(self, endpoint: EndpointKey, version: str) -> Health:
        """Whether a loaded version answers."""

    @abstractmethod
    def set_routes(self, endpoint: EndpointKey, variants: tuple[Variant, ...], shadow: str | None, expected_revision: int) -> int:
        """Replace the routes in one atomic step and answer the new revision. No variants: the endpoint is withdrawn.

        The routes before are kept as ``previous``; the same variants again, with whatever ``shadow``, make a new revision and keep what
        ``previous`` was. Only a deployer that declares ``shadow`` is given one: a loaded version. Where a change takes time, this returns
        once it has begun, and ``observe`` tells by ``operation`` when it is done. One that was begun before and cannot be interrupted is
        waited for.

        Raises:
            ConflictError: The revision is not ``expected_revision``.
            DeploymentError: A version is not loaded.
        """

    @abstractmethod
    def unload(self, endpoint: EndpointKey, version: str) -> None:
        """Release a version that no route names; unknown versions are ignored.

        What cannot be released now stays ``loaded`` in what ``observe`` answers, and is asked to go again.
        """

    @abstractmethod
    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        """The endpoint as it is now. An endpoint that never was answers revision 0.

        Args:
            endpoint: Which.
            since: Count the requests of this routing revision and of later ones, for ``counters``: totals per version and revision since
                that revision began, so that counts which come late come in at the next look and a look that was lost loses none. None:
                nobody asks for counts, and where counting costs a call none is made.
        """

    def predict(self, endpoint: EndpointKey, columns: Mapping[str, NDArray[Any]], *, unit: str | None = None) -> Prediction:
        """Answer a request by the routes; ``unit`` always meets the same variant of one set of routes.

        It may be called in any thread, and takes as long as it takes: the core waits no longer than its caller wants to.

        Raises:
            DeploymentError: Nothing is routed, the columns do not fit, or the model failed.
        """
        raise CapabilityError(f"deployer: {type(self).__name__} does not answer in this process - send the request to its url")

    def plan(self, endpoint: EndpointKey, versions: Sequence[ModelVersion], variants: tuple[Variant, ...], shadow: str | None) -> Plan:
        """What loading versions and then setting routes would call, which may look and changes nothing.

        By default the calls of this role, for deployers that have nothing to add.
        """
        from mlops_core.records import Plan, PlannedCall

        loaded = self.observe(endpoint).loaded
        loads = [PlannedCall("load", {"version": one.version}) for one in versions if one.version not in loaded]
        return Plan((*loads, PlannedCall("set_routes", {"weights": {one.version: one.weight for one in variants}, "shadow": shadow})))

    def serve(self, host: ServingHost, args: Sequence[str]) -> None:
        """Run a serving process until it is told to end; called by ``python -m mlops_core.serve`` with the deployer's own ``args``."""
        raise CapabilityError(f"deployer: {type(self).__name__} has no serving process")

    def shutdown(self) -> None:
        """Stop every serving process of this environment and project."""
