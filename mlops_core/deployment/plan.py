"""What a deployment would do, for whoever wants to see it first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.deployment.routes import mix, shares_of, variants_of
from mlops_core.deployment.shadow import open_shadow
from mlops_core.exceptions import DeploymentError

if TYPE_CHECKING:
    from typing import Any

    from mlops_core.deployment.desk import Desk
    from mlops_core.records import ModelVersion, Plan

__all__ = ["plan_of"]


def plan_of(desk: Desk, version: ModelVersion, weight: Any) -> Plan:
    """The deployer's plan for a version that takes ``weight`` of the requests, and what is live the rest; all, where nothing is live.

    A shadow is planned as the deployment that goes on to that.

    Raises:
        DeploymentError: The weight is no fraction, another deployment is on its way, or the version is live.
    """
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
        raise DeploymentError(f"plan: weight {weight!r} is no fraction above 0 - give one such as 0.1")
    state = desk.ledger.read()
    shadow = open_shadow(state, {version.version: 1.0})
    if state.open is not None and shadow is None:
        raise DeploymentError(f"deployment {state.open.deployment_id}: is {state.open.status} - plan what comes after it once it has ended")
    live = () if state.live is None else state.live.variants
    if version.version in shares_of(live):
        raise DeploymentError(f"plan: version {version.version} is live already in {desk.endpoint.environment} - give another version")
    new = variants_of(state.number + 1, {version.version: 1.0}) if shadow is None else shadow.variants
    return desk.deployer.plan(desk.endpoint, version, mix(live, new, weight) if live else new, None)
