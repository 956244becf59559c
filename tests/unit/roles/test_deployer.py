"""A deployer that serves elsewhere says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import CapabilityError
from mlops_core.records import EndpointKey, Health, HealthStatus, ModelVersion, Observed, Variant
from mlops_core.roles import Deployer

if TYPE_CHECKING:
    from mlops_core.roles import DeployContext


class Elsewhere(Deployer):
    contract = 1

    def load(self, endpoint: EndpointKey, version: ModelVersion, context: DeployContext) -> None:
        """Nothing is loaded."""

    def health(self, endpoint: EndpointKey, version: str) -> Health:
        return Health(HealthStatus.UNKNOWN)

    def set_routes(self, endpoint: EndpointKey, variants: tuple[Variant, ...], shadow: str | None, expected_revision: int) -> int:
        return expected_revision + 1

    def unload(self, endpoint: EndpointKey, version: str) -> None:
        """Nothing is loaded."""

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        return Observed()


def test_serving_is_a_capability() -> None:
    deployer, anything = Elsewhere(), object()
    host: Any = anything
    with pytest.raises(CapabilityError, match="deployer: Elsewhere has no serving process"):
        deployer.serve(host, ())
    with pytest.raises(CapabilityError, match="deployer: Elsewhere does not answer in this process - send the request to its url"):
        deployer.predict(EndpointKey("t", "e", "m"), {})


def test_without_processes_there_is_nothing_to_attach_or_stop() -> None:
    deployer, anything = Elsewhere(), object()
    context: Any = anything
    deployer.attach("staging", context)
    deployer.shutdown()
