"""Model registry on S3, without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore

__all__ = ["mlops_registry_store"]


@hookimpl
def mlops_registry_store() -> type[RegistryStore]:
    """Hand over the store; boto3 is loaded at its first use."""
    from mlops_registry_s3.registry import S3Registry

    return S3Registry
