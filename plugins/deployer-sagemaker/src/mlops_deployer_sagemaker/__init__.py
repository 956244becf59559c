"""Serving on Amazon SageMaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import Deployer

__all__ = ["mlops_deployer"]


@hookimpl
def mlops_deployer() -> type[Deployer]:
    """Hand over the deployer ``sagemaker``; boto3 is loaded at its first use."""
    from mlops_deployer_sagemaker.deployer import SageMakerDeployer

    return SageMakerDeployer
