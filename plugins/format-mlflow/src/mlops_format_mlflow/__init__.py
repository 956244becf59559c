"""Models in folders of MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import Format

__all__ = ["mlops_format"]


@hookimpl
def mlops_format(name: str) -> type[Format]:
    """Hand over the class of ``mlflow`` or ``mlflow-pyfunc``."""
    if name == "mlflow-pyfunc":
        from mlops_format_mlflow.pyfunc_format import PyfuncFormat

        return PyfuncFormat
    from mlops_format_mlflow.mlflow_format import MlflowFormat

    return MlflowFormat
