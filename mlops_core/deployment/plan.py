"""What a deployment would do, for whoever wants to see it first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_core.deployment.routes import check_weights, mix, shares_of, variants_of
from mlops_core.deployment.shadow import open_shadow
from mlops_core.deployment.split import by_version
from mlops_core.exceptions import DeploymentError

if TYPE_CHECKING:
    from typing import Any

    from mlops_core.deployment.desk import Desk
    from mlops_core.records import ModelVersion, Plan

__all__ = ["plan_of"]


def plan_of(desk: Desk, version: ModelVersion, weight: Any) -> Plan:
    """The deployer's plan for a version that takes ``weight`` of the requests, and what is live the rest; all, where nothing is live.

    Weights by version, the version's among them, are those of an A/B test. A shadow is planned as the deployment that goes on to that.

    Raises:
        DeploymentError: The weight is no fraction, another deployment is on its way, or the version is live.
    """
    shared = isinstance(weight, Mapping)
    shares = _shares(desk, version, weight) if shared else {version.version: 1.0}
    if not shared and (isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1):
        raise DeploymentError(f"plan: weight {weight!r} is no fraction above 0 - give one such as 0.1")
    state = desk.ledger.read()
    shadow = open_shadow(state, shares)
    if state.open is not None and shadow is None:
        raise DeploymentError(f"deployment {state.open.deployment_id}: is {state.open.status} - plan what comes after it once it has ended")
    live = () if state.live is None else state.live.variants
    if shared and shares_of(live) == shares:
        raise DeploymentError(f"plan: these shares are live already in {desk.endpoint.environment} - give others")
    if not shared and version.version in shares_of(live):
        raise DeploymentError(f"plan: version {version.version} is live already in {desk.endpoint.environment} - give another version")
    new = variants_of(state.number + 1, shares) if shadow is None else shadow.variants
    routes = new if shared or not live else mix(live, new, weight)
    return desk.deployer.plan(desk.endpoint, [version if name == version.version else desk.version(name) for name in shares], routes, None)


def _shares(desk: Desk, version: ModelVersion, weights: Mapping[str, float]) -> dict[str, float]:
    shares = by_version(desk, check_weights(dict(weights)))
    if version.version not in shares:
        raise DeploymentError(f"plan: version {version.version} has no share - give it one beside {', '.join(shares)}")
    return shares
