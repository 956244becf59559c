from __future__ import annotations

import functools
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from mlops_core.exceptions import ArtifactError
from mlops_core.testing.format_suite import FormatSuite
from mlops_format_onnx import mlops_format
from mlops_format_onnx.onnx_format import OnnxFormat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


@functools.cache
def converted() -> onnx.ModelProto:
    model: onnx.ModelProto = to_onnx(LogisticRegression().fit(X, Y), X[:1], options={"zipmap": False})
    return model


def graph_of(*nodes: onnx.NodeProto, weights: Sequence[onnx.TensorProto] = (), functions: Sequence[Any] = ()) -> onnx.ModelProto:
    """A model from ``x`` (n, 2) to ``y`` (n, 2)."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in "xy"]
    domains = {node.domain for node in nodes if node.domain}
    imports = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in sorted(domains))]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], initializer=weights)
    return helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=9)


def large(columns: int = 2) -> onnx.ModelProto:
    weights = numpy_helper.from_array(np.arange(600.0, dtype=np.float32).reshape(300, 2)[:, :columns], "w")
    return graph_of(
        helper.make_node("ReduceMax", ["w"], ["m"], axes=[0], keepdims=1), helper.make_node("Add", ["x", "m"], ["y"]), weights=[weights]
    )


def nested(attribute: Any, name: str) -> onnx.ModelProto:
    node = helper.make_node("Constant", [], ["c"])
    node.attribute.append(helper.make_attribute(name, attribute))
    return graph_of(node, helper.make_node("Add", ["x", "c"], ["y"]))


def elsewhere(location: str = "weights.bin", **notes: int) -> onnx.TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **notes}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


class TestOnnxFormatConforms(FormatSuite):
    def format(self) -> OnnxFormat:
        return OnnxFormat()

    def values(self) -> Sequence[Any]:
        forest = to_onnx(RandomForestClassifier(3, random_state=0).fit(X, Y), X[:1])
        function = helper.make_function(
            "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
        )
        local = graph_of(helper.make_node("Twice", ["x"], ["y"], domain="mine"), functions=[function])
        return [converted(), forest, large(), local, graph_of(helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft"))]

    def refused(self) -> Sequence[Any]:
        return [{"a": 1}, X, converted().SerializeToString(), converted().graph, onnx.ModelProto, LogisticRegression()]


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_format() is OnnxFormat


def test_importing_the_plugin_and_looking_at_a_file_load_no_library(tmp_path: Path) -> None:
    OnnxFormat().write(converted(), tmp_path / "model")
    code = (
        "import sys, pathlib, mlops_format_onnx as m\n"
        f"assert m.mlops_format()().sniff(pathlib.Path({str(tmp_path / 'model')!r}))\n"
        "print({'onnx', 'onnxruntime', 'numpy'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


CUSTOM = graph_of(helper.make_node("PyOp", ["x"], ["y"], domain="ai.onnx.contrib"))
BRANCH = helper.make_graph(
    [helper.make_node("Mine", [], ["b"], domain="mine")], "branch", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])]
)
CHOOSING = graph_of(
    helper.make_node("If", ["c"], ["b"], then_branch=BRANCH, else_branch=BRANCH),
    helper.make_node("Add", ["x", "b"], ["y"]),
    weights=[numpy_helper.from_array(np.array(True), "c")],  # noqa: FBT003  the value of a tensor
)
LOCAL = graph_of(
    helper.make_node("Outer", ["x"], ["y"], domain="mine"),
    functions=[
        helper.make_function(
            "mine", "Outer", ["a"], ["b"], [helper.make_node("Inner", ["a"], ["b"], domain="other")], [helper.make_opsetid("other", 1)]
        )
    ],
)
CIRCLE = graph_of(
    helper.make_node("F", ["x"], ["y"], domain="mine"),
    functions=[
        helper.make_function(
            "mine", "F", ["a"], ["b"], [helper.make_node("F", ["a"], ["b"], domain="mine")], [helper.make_opsetid("mine", 1)]
        )
    ],
)

BOMB = graph_of(
    helper.make_node("F0", ["x"], ["y"], domain="mine"),
    functions=[
        helper.make_function(
            "mine",
            f"F{depth}",
            ["a"],
            ["b"],
            [helper.make_node(f"F{depth + 1}" if depth < 39 else "Identity", ["a"], ["b"], domain="mine" if depth < 39 else "")] * 2,
            [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)],
        )
        for depth in range(40)
    ],
)


@pytest.mark.parametrize(
    ("model", "cause"),
    [
        (CUSTOM, "the operator 'PyOp' of 'ai.onnx.contrib' needs a library, which would run as code - export"),
        (CHOOSING, "the operator 'Mine' of 'mine' needs a library"),
        (LOCAL, "the operator 'Inner' of 'other' needs a library"),
        (CIRCLE, "its functions call each other in rings, 64 deep, or stand for more"),
        (BOMB, "or stand for more than 1000000 operators - export the model without nested functions"),
        (graph_of(helper.make_node("NoSuch", ["x"], ["y"])), "the model is not sound: No Op registered for NoSuch"),
        (graph_of(helper.make_node("Add", ["x", "z"], ["y"])), "the model is not sound: .*z"),
        (graph_of(helper.make_node("Add", ["x", "w"], ["y"]), weights=[elsewhere()]), "the tensor 'w' is in another file - register"),
        (nested(elsewhere(), "value"), "the tensor 'w' is in another file"),
        (nested([elsewhere()], "values"), "the tensor 'w' is in another file"),
    ],
)
def test_what_does_not_stand_alone_is_refused_both_ways(model: onnx.ModelProto, cause: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=cause) as caught:
        OnnxFormat().write(model, tmp_path / "written")
    assert "\n" not in caught.value.message
    assert not (tmp_path / "written").exists()
    (tmp_path / "model").write_bytes(model.SerializeToString())
    assert OnnxFormat().sniff(tmp_path / "model")
    with pytest.raises(ArtifactError, match=cause):
        OnnxFormat().read(tmp_path / "model")


def folder_with(path: Path, model: onnx.ModelProto, **files: bytes) -> Path:
    path.mkdir()
    (path / "net.onnx").write_bytes(model.SerializeToString())
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def test_a_folder_holds_a_model_with_its_tensors_beside_it(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    onnx.save_model(large(), tmp_path / "model" / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    assert OnnxFormat().sniff(tmp_path / "model")
    assert OnnxFormat().read(tmp_path / "model").graph == large().graph
    with pytest.raises(ArtifactError, match=r"the tensor 'w' is in another file - register the folder that holds both"):
        OnnxFormat().read(tmp_path / "model" / "net.onnx")


@pytest.mark.parametrize(
    ("tensors", "cause"),
    [
        ([elsewhere("../secret")], r"its tensors are in '\.\./secret', which is no file of its folder"),
        ([elsewhere("/etc/passwd")], "no file of its folder"),
        ([elsewhere("link")], "no file of its folder"),
        ([elsewhere("there/inside")], "no file of its folder"),
        ([elsewhere("missing")], "no file of its folder"),
        ([elsewhere("")], "no file of its folder"),
        ([elsewhere("weights", offset=4, length=8)], "asks for more than weights holds"),
        ([elsewhere("weights", offset=-4, length=4)], "asks for more than weights holds"),
        ([elsewhere("weights", length=-8)], "asks for more than weights holds"),
        ([elsewhere("weights", length=8), elsewhere("weights", length=8)], "asks for more than weights holds"),
    ],
)
def test_tensors_lie_in_the_models_folder_and_are_no_more_than_it_holds(tensors: list[Any], cause: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(8))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "inside").write_bytes(bytes(8))
    model = graph_of(helper.make_node("Add", ["x", "w"], ["y"]), weights=tensors)
    folder = folder_with(tmp_path / "model", model, weights=bytes(8))
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "there").symlink_to(tmp_path / "outside")
    with pytest.raises(ArtifactError, match=cause):
        OnnxFormat().read(folder)


def test_a_folder_of_mlflow_or_of_several_models_is_not_its_own(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "mlflow", converted(), MLmodel=b"flavors: {}\n")
    assert not OnnxFormat().sniff(folder)
    folder = folder_with(tmp_path / "several", converted(), **{"other.onnx": b""})
    assert not OnnxFormat().sniff(folder)
    with pytest.raises(ArtifactError, match=r"no folder with one \.onnx file"):
        OnnxFormat().read(folder)


def test_a_file_of_more_than_2_gib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "model").open("wb") as stream:
        stream.truncate(1 << 31)
    with pytest.raises(ArtifactError, match="larger than 2 GiB - keep its tensors in files beside it"):
        OnnxFormat().read(tmp_path / "model")


@pytest.mark.parametrize(
    "content",
    [
        b"\x08",  # cut in a number
        b"\x08\x09",  # no graph
        b"\x3a\x00",  # no version
        b"\x08" + b"\xff" * 11,  # a number without an end
        b"\x08\x09\x3a\x05\x00",  # a graph that is cut
        b"\x0a\x00\x3a\x00",  # a version that is no number
        b"\x08\x09\x3a\x00\x00",  # a byte behind it
        b"\x08\x09" * 20_000 + b"\x3a\x00",  # more fields than any model has
    ],
)
def test_what_only_begins_like_a_model_is_not_taken_for_one(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(content)
    assert not OnnxFormat().sniff(tmp_path / "model")
    with pytest.raises(ArtifactError):
        OnnxFormat().read(tmp_path / "model")
