"""``on_failure: rollback``: what a run deployed is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_core.deployment import ModelDeployment
from mlops_core.exceptions import MLOpsError
from mlops_core.pipeline.state import effect_key
from mlops_core.records import DeploymentStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.records import Deployment
    from mlops_core.stack import Stack

__all__ = ["roll_back"]

_OVER: Final = frozenset({DeploymentStatus.RETIRED, DeploymentStatus.FAILED, DeploymentStatus.DRAINING})


def roll_back(stack: Stack, pipeline: str, run_id: str, reason: str) -> tuple[str, bool]:
    """Roll back every deployment of this run that serves or is on its way, the newest first.

    Returns:
        One line on what was done, and whether that was all. A rollback that fails stops no other; calling again tries it again.
    """
    facade = ModelDeployment(stack=stack)
    said, done = [], True
    try:
        found = sorted(_of_run(facade, effect_key(pipeline, run_id, "")), key=lambda one: one.created, reverse=True)
    except MLOpsError as error:
        return f"what it deployed could not be found: {error.message}", False
    for one in found:
        try:
            now = one if one.status is DeploymentStatus.ROLLED_BACK else facade.rollback_deployment(one.deployment_id, reason=reason)
            said.append(f"{now.deployment_id} is {now.status}")
            done = done and now.status is DeploymentStatus.ROLLED_BACK
        except MLOpsError as error:
            done = False
            said.append(f"{one.deployment_id} could not be rolled back: {error.message}")
    return "; ".join(said) or "it had deployed nothing that could be rolled back", done


def _of_run(facade: ModelDeployment, prefix: str) -> Iterator[Deployment]:
    """Deployments name the stage that made them in their key."""
    for endpoint in facade.list():
        for one in facade.history(endpoint.model, endpoint.environment):
            if one.key.startswith(prefix) and one.status not in _OVER:
                yield one
