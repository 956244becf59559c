"""Format ``onnx``: one ONNX model as a file, or a folder with its tensors beside it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field
from attrs.validators import ge

from mlops_core.exceptions import ArtifactError
from mlops_core.roles import Format
from mlops_format_onnx.graphs import check_model, read_model
from mlops_format_onnx.session import OnnxPredictor
from mlops_format_onnx.wire import is_model

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.records import Schema

__all__ = ["OnnxFormat"]

_MLFLOW: Final = "MLmodel"  # a folder with this file is MLflow's, whatever else is in it


@define(eq=False)
class OnnxFormat(Format):
    """ONNX models. Reading one runs no code: operators that need a library of their own are refused."""

    name: ClassVar[str] = "onnx"
    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})

    threads: int = field(default=1, validator=ge(0), metadata={"help": "threads that one prediction may take, 0 for one per core"})

    def accepts(self, value: Any) -> bool:
        """Whether it is a ``ModelProto``."""
        kind = getattr(sys.modules.get("onnx"), "ModelProto", None)
        return kind is not None and type(value) is kind

    def sniff(self, path: Path) -> bool:
        """Whether it is a model, or a folder with one ``.onnx`` file that is a model."""
        file = _file(path)
        return file is not None and is_model(file)

    def write(self, value: Any, path: Path) -> None:
        """Write the model as one file.

        Raises:
            ArtifactError: It is no sound model, has tensors in other files, or needs operators of a library.
        """
        if not self.accepts(value):
            raise ArtifactError(f"format onnx: a {type(value).__qualname__} is no onnx.ModelProto - convert the model first")
        check_model(value, "format onnx")
        path.write_bytes(value.SerializeToString())

    def read(self, path: Path) -> Any:
        """The model, with the tensors of its folder in it."""
        file = _file(path)
        if file is None:
            raise ArtifactError(f"format onnx: {path.name} is no ONNX model, and no folder with one .onnx file")
        return read_model(file, "format onnx", beside=path.is_dir())

    def predictor(self, value: Any, schema: Schema | None) -> OnnxPredictor:
        """Predict with onnxruntime on the CPU."""
        return OnnxPredictor(value, schema, self.threads)


def _file(path: Path) -> Path | None:
    """The file of the model: the path itself, or the only one so called in a folder."""
    if not path.is_dir():
        return path
    found = [one for one in path.iterdir() if one.suffix == ".onnx" or one.name == _MLFLOW]
    return found[0] if len(found) == 1 and found[0].name != _MLFLOW else None
