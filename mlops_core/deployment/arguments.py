"""What the facade is given, checked before anything happens."""

from __future__ import annotations

import math
from typing import Any, Final

from mlops_core.config.settings import CanarySettings
from mlops_core.deployment.canary import check_plan
from mlops_core.deployment.routes import check_weights
from mlops_core.exceptions import DeploymentError, checks_input
from mlops_core.names import check_name, is_name

__all__ = ["check_canary", "check_id", "check_key", "check_model", "check_timeout", "check_weights"]

_LONGEST_KEY: Final = 400
_SHOWN: Final = 80


def check_model(model: Any, environment: Any) -> None:
    """Two names.

    Raises:
        DeploymentError: One breaks the name rule.
    """
    check_name(model, "model", DeploymentError)
    check_name(environment, "environment", DeploymentError)


@checks_input
def check_id(deployment_id: Any) -> tuple[str, str, int]:
    """Environment, model and number of ``environment/model/number``.

    Raises:
        DeploymentError: It is not of that form.
    """
    parts = deployment_id.split("/") if isinstance(deployment_id, str) else []
    if len(parts) == 3 and is_name(parts[0]) and is_name(parts[1]) and parts[2].isascii() and parts[2].isdigit():  # noqa: PLR2004
        return parts[0], parts[1], int(parts[2])
    shown = str(deployment_id)[:_SHOWN]
    raise DeploymentError(f"deployment {shown!r}: this is no deployment id - give environment/model/number, such as production/delays/3")


@checks_input
def check_key(key: Any) -> str:
    """The key of a request; none is an empty one.

    Raises:
        DeploymentError: It is no text of 1 to 400 characters.
    """
    if key is None:
        return ""
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
        raise DeploymentError(f"key: expected text of 1 to {_LONGEST_KEY} characters - give a name such as 'run-7/deployment'")
    return key


@checks_input
def check_timeout(timeout: Any) -> float:
    """Seconds above zero.

    Raises:
        DeploymentError: It is not.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not math.isfinite(timeout) or timeout <= 0:
        raise DeploymentError(f"timeout: {timeout!r} is no number of seconds above zero - give for example 30.0")
    return float(timeout)


@checks_input
def check_canary(canary: Any) -> CanarySettings:
    """A plan that can be followed.

    Raises:
        DeploymentError: It is not one.
    """
    if not isinstance(canary, CanarySettings):
        raise DeploymentError(f"canary: expected CanarySettings, got {type(canary).__name__} - from mlops_core.config.settings")
    check_plan(canary)
    return canary
