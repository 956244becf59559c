"""A deployer that serves elsewhere says so."""

from __future__ import annotations

from datetime import UTC, datetime
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


def test_without_a_plan_of_its_own_it_tells_the_calls_of_the_role() -> None:
    key, at = EndpointKey("t", "e", "m"), datetime(2024, 1, 1, tzinfo=UTC)
    version = ModelVersion("t", "m", "1", "1", "1", (), at)
    found = Elsewhere().plan(key, [version], (Variant("1-1", "1", 1.0),), "0")
    assert [(call.name, dict(call.arguments)) for call in found.calls] == [
        ("load", {"version": "1"}),
        ("set_routes", {"weights": {"1": 1.0}, "shadow": "0"}),
    ]
