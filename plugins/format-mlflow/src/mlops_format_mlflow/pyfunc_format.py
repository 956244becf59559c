"""Format ``mlflow-pyfunc``: folders of MLflow of every flavour that has a Python function. Reading one runs what it says."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define

from mlops_core.exceptions import ArtifactError
from mlops_core.roles import Format
from mlops_format_mlflow.library import import_mlflow
from mlops_format_mlflow.mlmodel import flavours_of
from mlops_format_mlflow.pyfunc_predictor import PyfuncPredictor

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.records import Schema

__all__ = ["PyfuncFormat"]


@define(eq=False)
class PyfuncFormat(Format):
    """What ``mlflow.pyfunc.load_model`` loads. The core reads it only where ``models.trust`` names ``mlflow-pyfunc``."""

    name: ClassVar[str] = "mlflow-pyfunc"
    contract: ClassVar[int] = 1
    runs_code: ClassVar[bool] = True
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})

    def accepts(self, value: Any) -> bool:
        """Whether it is a model of MLflow that holds a ``PythonModel``: of other flavours, register the folder."""
        kind = getattr(sys.modules.get("mlflow.pyfunc"), "PyFuncModel", None)
        return kind is not None and type(value) is kind and _is_python_model(value)

    def sniff(self, path: Path) -> bool:
        """Whether it is a folder with an ``MLmodel`` that names a Python function; nothing of it is imported."""
        return path.is_dir() and "python_function" in flavours_of(path)

    def write(self, value: Any, path: Path) -> None:
        """Write the folder by ``mlflow.pyfunc.save_model``, with the signature of the model.

        Raises:
            ArtifactError: It is no such model, or its ``PythonModel`` cannot be pickled.
        """
        if not self.accepts(value):
            raise ArtifactError(
                f"format mlflow-pyfunc: a {type(value).__qualname__} is no PyFuncModel over a PythonModel - "
                "save it with MLflow, and register the folder"
            )
        pyfunc = import_mlflow("mlflow.pyfunc")
        metadata = value.metadata
        try:
            pyfunc.save_model(
                path,
                python_model=value.unwrap_python_model(),
                signature=metadata.signature,
                metadata=metadata.metadata,
                pip_requirements=[f"mlflow=={import_mlflow('mlflow').__version__}"],
            )
        except Exception as error:
            cause = " ".join(str(error).split())
            raise ArtifactError(f"format mlflow-pyfunc: the model cannot be written: {type(error).__name__}: {cause}") from error

    def read(self, path: Path) -> Any:
        """Load the folder. This runs code that it holds or names."""
        if not self.sniff(path):
            raise ArtifactError(f"format mlflow-pyfunc: {path.name} is no folder with an MLmodel that names a Python function")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return import_mlflow("mlflow.pyfunc").load_model(str(path))
        except Exception as error:  # whatever the folder's code raises
            cause = " ".join(str(error).split())
            raise ArtifactError(f"format mlflow-pyfunc: {path.name} cannot be read: {type(error).__name__}: {cause}") from error

    def predictor(self, value: Any, schema: Schema | None) -> PyfuncPredictor:
        """Predict with the model's Python function."""
        return PyfuncPredictor(value, schema)


def _is_python_model(value: Any) -> bool:
    try:
        return value.unwrap_python_model() is not None
    except Exception:  # noqa: BLE001  MLflow's way to say no
        return False
