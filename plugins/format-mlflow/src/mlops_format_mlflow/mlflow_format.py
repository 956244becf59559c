"""Format ``mlflow``: folders of MLflow whose model is data. Those that run code are for ``mlflow-pyfunc``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field
from attrs.validators import ge

from mlops_core.exceptions import ArtifactError, UntrustedFormatError
from mlops_core.roles import Format
from mlops_format_mlflow.graphs import check_model, read_model
from mlops_format_mlflow.library import import_mlflow
from mlops_format_mlflow.mlmodel import flavours_of, onnx_file
from mlops_format_mlflow.session import OnnxPredictor

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.records import Schema

__all__ = ["MlflowFormat"]


@define(eq=False)
class MlflowFormat(Format):
    """Folders of MLflow with the flavour ``onnx``. Reading one runs no code, and does not need MLflow."""

    name: ClassVar[str] = "mlflow"
    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})

    threads: int = field(default=1, validator=ge(0), metadata={"help": "threads that one prediction may take, 0 for one per core"})

    def accepts(self, value: Any) -> bool:
        """Whether it is a ``ModelProto`` of ONNX."""
        kind = getattr(sys.modules.get("onnx"), "ModelProto", None)
        return kind is not None and type(value) is kind

    def sniff(self, path: Path) -> bool:
        """Whether it is a folder with an ``MLmodel`` of the flavour ``onnx`` and nothing that runs code."""
        return path.is_dir() and onnx_file(path) is not None

    def write(self, value: Any, path: Path) -> None:
        """Write the folder by ``mlflow.onnx.save_model``, with the tensors in the model's file.

        Raises:
            ArtifactError: It is no sound model, has tensors in other files, or needs operators of a library.
        """
        if not self.accepts(value):
            raise ArtifactError(f"format mlflow: a {type(value).__qualname__} is no onnx.ModelProto - convert the model first")
        check_model(value, "format mlflow")
        import onnx
        import onnxruntime

        needs = [
            f"onnx=={onnx.__version__}",
            f"onnxruntime=={onnxruntime.__version__}",
        ]  # else MLflow starts a process to find out
        import_mlflow("mlflow.onnx").save_model(value, path, pip_requirements=needs, save_as_external_data=False)

    def read(self, path: Path) -> Any:
        """The ONNX model, with the tensors that lie beside it.

        Raises:
            UntrustedFormatError: MLflow would run code to load it.
            ArtifactError: It is no folder of MLflow, or its model is damaged.
        """
        file = onnx_file(path)
        if file is not None:
            return read_model(file, "format mlflow", beside=True)
        flavours = flavours_of(path)
        if not flavours:
            raise ArtifactError(f"format mlflow: {path.name} is no folder with a sound MLmodel of at most 256 KiB")
        what = ", ".join(sorted(name[:30] for name in flavours)[:5])
        raise UntrustedFormatError(
            f"format mlflow: {path.name} ({what}) is not read as data alone - if you trust where it comes from, "
            "add 'mlflow-pyfunc' to 'formats' and to 'models.trust'"
        )

    def predictor(self, value: Any, schema: Schema | None) -> OnnxPredictor:
        """Predict with onnxruntime on the CPU."""
        return OnnxPredictor(value, schema, self.threads)
