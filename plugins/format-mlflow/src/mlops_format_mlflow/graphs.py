"""Reading ONNX models so that they are whole, and need no code beside the file.

This module is the same, byte for byte, in format-onnx and format-mlflow: plugins do not import each other.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import onnx

__all__ = ["check_model", "one_line", "read_model"]

_LARGEST: Final = (1 << 31) - 1  # what a protocol buffer can hold
_MOST: Final = 1_000_000  # nodes, once each call of a function is replaced with its body, as onnxruntime does
_DEEPEST: Final = 64  # functions that call functions
_DOMAINS: Final = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "ai.onnx.training", "com.microsoft"}
)
"""Operators that onnxruntime brings with it. All others come from libraries, which would run as code."""


def read_model(path: Path, where: str, *, beside: bool) -> onnx.ModelProto:
    """A checked model. Tensors that lie in other files of its folder are taken in if ``beside`` is set.

    Args:
        path: The file of the model.
        where: Begins the message of an error.
        beside: Whether the folder belongs to the model.

    Raises:
        ArtifactError: It is damaged or too large, needs operators of a library, or files that are not there.
    """
    import onnx

    try:
        if path.stat().st_size > _LARGEST:
            raise ArtifactError(f"{where}: {path.name} is larger than 2 GiB - keep its tensors in files beside it")  # noqa: TRY301  here for all
        model: onnx.ModelProto = onnx.ModelProto.FromString(path.read_bytes())
        if beside:
            _take_in(model, path, where)
        check_model(model, where)
    except ArtifactError:
        raise
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise ArtifactError(f"{where}: {path.name} is no sound ONNX model: {one_line(error)}") from error
    return model


def check_model(model: onnx.ModelProto, where: str) -> None:
    """Check structure and types by ONNX's own checker, and that the model stands alone.

    Raises:
        ArtifactError: It does not.
    """
    import onnx

    _check_size(model, where)
    local = {(function.domain, function.name) for function in model.functions}
    for part in _parts(model):
        if isinstance(part, onnx.TensorProto):
            if part.data_location == onnx.TensorProto.EXTERNAL:
                raise ArtifactError(
                    f"{where}: the tensor {part.name[:60]!r} is in another file - register the folder that holds both, "
                    "or load the model with onnx.load, which takes it in"
                )
        elif part.domain not in _DOMAINS and (part.domain, part.op_type) not in local:
            raise ArtifactError(
                f"{where}: the operator {part.op_type[:60]!r} of {part.domain[:60]!r} needs a library, which would run as code - "
                "export the model with standard operators"
            )
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # its own error, or that of a message that is too large
        raise ArtifactError(f"{where}: the model is not sound: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """The message of an error of ONNX or onnxruntime, shortened to one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]}..."  # noqa: PLR2004  a line that is still read


def _check_size(model: onnx.ModelProto, where: str) -> None:
    """Refuse a model that is small only as long as nobody writes its functions out: each that calls the next one twice doubles it."""
    bodies = {(one.domain, one.name): one for one in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Any) -> int:
        """How many there are written out; more than the most is as good as any number."""
        count, waiting = 0, list(nodes)
        while waiting and count <= _MOST:
            node = waiting.pop()
            count += 1 + sizes.get((node.domain, node.op_type), 0)
            waiting += [inner for one in node.attribute for graph in (one.g, *one.graphs) for inner in graph.node]
        return min(count, _MOST + 1)

    settled = False
    for _ in range(_DEEPEST):  # each round settles the functions that call settled ones
        found = {name: size(body.node) for name, body in bodies.items()}
        settled, sizes = found == sizes, found
        if settled:
            break
    if not settled or size(model.graph.node) > _MOST:
        raise ArtifactError(
            f"{where}: its functions call each other in rings, {_DEEPEST} deep, or stand for more than {_MOST} operators - "
            "export the model without nested functions"
        )


def _parts(model: onnx.ModelProto) -> Iterator[Any]:
    """Every node and every tensor, those inside of nodes too."""
    waiting: list[Any] = [model.graph, *model.functions]
    waiting += [graph for training in model.training_info for graph in (training.initialization, training.algorithm)]
    while waiting:
        holder = waiting.pop()
        yield from getattr(holder, "initializer", ())
        yield from (tensor for sparse in getattr(holder, "sparse_initializer", ()) for tensor in (sparse.values, sparse.indices))
        yield from holder.node
        attributes = [*getattr(holder, "attribute_proto", ()), *(one for node in holder.node for one in node.attribute)]
        for one in attributes:
            yield from (one.t, *one.tensors)
            yield from (tensor for sparse in (one.sparse_tensor, *one.sparse_tensors) for tensor in (sparse.values, sparse.indices))
            waiting += [*one.graphs, *([one.g] if one.HasField("g") else [])]


def _take_in(model: onnx.ModelProto, path: Path, where: str) -> None:
    """Read the tensors that lie beside a model. Together they take no more than their files are long: parts are not counted twice."""
    import onnx

    left: dict[Path, int] = {}
    for tensor in _parts(model):
        if not isinstance(tensor, onnx.TensorProto) or tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        notes = {one.key: one.value for one in tensor.external_data}
        file = _inside(path.parent, notes.get("location", ""), where)
        size = file.stat().st_size
        offset = int(notes.get("offset") or 0)
        length = int(notes.get("length") or size - offset)
        left[file] = left.get(file, size) - length
        if offset < 0 or length < 0 or offset + length > size or left[file] < 0:
            raise ArtifactError(f"{where}: the tensor {tensor.name[:60]!r} asks for more than {file.name} holds - export the model again")
        with file.open("rb") as stream:
            stream.seek(offset)
            tensor.raw_data = stream.read(length)
        del tensor.external_data[:]
        tensor.ClearField("data_location")


def _inside(folder: Path, location: str, where: str) -> Path:
    parts = location.split("/")
    file = folder.joinpath(*parts)
    plain = not any(part in {"", ".", ".."} or set(part) & set("\0\\:") for part in parts)
    if not plain or not file.exists() or not stat.S_ISREG(file.lstat().st_mode) or file.resolve() != folder.resolve().joinpath(*parts):
        raise ArtifactError(f"{where}: its tensors are in {location[:60]!r}, which is no file of its folder - register the whole folder")
    return file
