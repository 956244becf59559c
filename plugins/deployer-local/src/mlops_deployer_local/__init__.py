"""Serving on this machine, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import Deployer

__all__ = ["mlops_deployer"]


@hookimpl
def mlops_deployer() -> type[Deployer]:
    """Hand over the deployer ``local``."""
    from mlops_deployer_local.deployer import LocalDeployer

    return LocalDeployer
