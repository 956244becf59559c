from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression

from mlops_core.exceptions import ArtifactError, DeploymentError, UntrustedFormatError
from mlops_core.records import Column, Schema
from mlops_core.testing.format_suite import FormatSuite
from mlops_format_mlflow import mlops_format
from mlops_format_mlflow.mlflow_format import MlflowFormat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.conftest import Folders

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
SCHEMA = Schema(tuple(Column(name, "float64") for name in "abc"))
COLUMNS = {name: X[:, number].astype(np.float64) for number, name in enumerate("abc")}
ONNX = "flavors:\n  onnx: {data: model.onnx, code: null}\n  python_function: {loader_module: mlflow.onnx, data: model.onnx}\n"


def linear() -> onnx.ModelProto:
    model: onnx.ModelProto = to_onnx(LinearRegression().fit(X, X[:, 0]), X[:1])
    return model


class TestMlflowFormatConforms(FormatSuite):
    def format(self) -> MlflowFormat:
        return MlflowFormat()

    def values(self) -> Sequence[Any]:
        return [linear()]

    def refused(self) -> Sequence[Any]:
        return [{"a": 1}, X, linear().SerializeToString(), onnx.ModelProto, LinearRegression()]


@pytest.mark.parametrize("name", ["mlflow", "mlflow-pyfunc"])
def test_the_hook_hands_over_the_class_of_that_name(name: str) -> None:
    assert mlops_format(name).name == name
    assert mlops_format(name).runs_code is (name == "mlflow-pyfunc")


def test_reading_a_model_does_not_import_mlflow(folders: Folders) -> None:
    code = (
        "import sys, pathlib, mlops_format_mlflow as m\n"
        f"one, path = m.mlops_format('mlflow')(), pathlib.Path({str(folders.onnx)!r})\n"
        "assert one.sniff(path) and m.mlops_format('mlflow-pyfunc')().sniff(path)\n"
        "print({'mlflow', 'onnx', 'onnxruntime', 'numpy', 'pandas'} & sys.modules.keys())\n"
        "one.predictor(one.read(path), None)\n"
        "print('mlflow' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["set()", "False"]


def test_a_folder_of_mlflow_is_read_as_it_was_saved(folders: Folders) -> None:
    assert MlflowFormat().sniff(folders.onnx)
    assert MlflowFormat().read(folders.onnx) == folders.graph
    answer = MlflowFormat().predictor(folders.graph, SCHEMA).predict(COLUMNS)
    np.testing.assert_array_equal(answer["label"], folders.classifier.predict(X))
    np.testing.assert_allclose(answer["probabilities"], folders.classifier.predict_proba(X), atol=1e-5)
    with pytest.raises(DeploymentError, match="takes 3 columns, the schema has 1"):
        MlflowFormat().predictor(folders.graph, Schema((Column("a", "float64"),)))


def test_tensors_beside_the_model_are_taken_in(folders: Folders) -> None:
    assert onnx.load(folders.beside / "model.onnx", load_external_data=False).graph.initializer[0].external_data
    model = MlflowFormat().read(folders.beside)
    assert not any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer)
    np.testing.assert_array_equal(MlflowFormat().predictor(model, SCHEMA).predict(COLUMNS)["y"], 2 * X)


def test_what_is_written_mlflow_loads(tmp_path: Path) -> None:
    MlflowFormat().write(linear(), tmp_path / "model")
    import mlflow.onnx  # the plugin has imported it

    assert mlflow.onnx.load_model(str(tmp_path / "model")) == linear()
    assert (tmp_path / "model" / "requirements.txt").read_text().count("onnx") == 2


def test_a_model_that_needs_a_library_is_refused(tmp_path: Path, folders: Folders) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("PyOp", ["x"], ["y"], domain="ai.onnx.contrib")], "graph", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)], ir_version=9)
    with pytest.raises(ArtifactError, match=r"format mlflow: the operator 'PyOp' of 'ai\.onnx\.contrib' needs a library"):
        MlflowFormat().write(model, tmp_path / "written")
    assert not (tmp_path / "written").exists()
    shutil.copytree(folders.onnx, tmp_path / "model")
    (tmp_path / "model" / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match="needs a library"):
        MlflowFormat().read(tmp_path / "model")


@pytest.mark.parametrize("which", ["pickled", "python"])
def test_a_flavour_that_runs_code_is_not_its_own(which: str, folders: Folders) -> None:
    folder = getattr(folders, which)
    assert not MlflowFormat().sniff(folder)
    with pytest.raises(UntrustedFormatError, match=r"add 'mlflow-pyfunc' to 'formats' and to 'models\.trust'") as caught:
        MlflowFormat().read(folder)
    assert "\n" not in caught.value.message


CODE = {
    "a loader of its own": ONNX.replace("loader_module: mlflow.onnx", "loader_module: evil"),
    "code beside the model": ONNX.replace("code: null", "code: code"),
    "code of the function": ONNX.replace("mlflow.onnx, data", "mlflow.onnx, code: code, data"),
    "another flavour too": ONNX + "  sklearn: {pickled_model: model.pkl}\n",
    "a model of another folder": ONNX.replace("data: model.onnx, code", "data: ../model.onnx, code"),
    "a model that is a link": ONNX.replace("data: model.onnx, code", "data: link.onnx, code"),
    "a model that is not there": ONNX.replace("data: model.onnx, code", "data: gone.onnx, code"),
    "a model without a name": ONNX.replace("data: model.onnx, code", "data: [], code"),
}


@pytest.mark.parametrize("text", CODE.values(), ids=CODE)
def test_what_is_more_than_data_is_refused(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (folder / "model.onnx", tmp_path / "model.onnx"):
        path.write_bytes(linear().SerializeToString())
    (folder / "link.onnx").symlink_to(tmp_path / "model.onnx")
    (folder / "MLmodel").write_text(ONNX)
    assert MlflowFormat().sniff(folder)
    (folder / "MLmodel").write_text(text)
    assert not MlflowFormat().sniff(folder)
    with pytest.raises(UntrustedFormatError):
        MlflowFormat().read(folder)


BOMB = "a0: &a0 {x: 1}\n" + "".join(f"a{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}]}}\n" for n in range(60))
BROKEN = {
    "empty": "",
    "no mapping": "[1, 2]",
    "no flavours": "run_id: 1\n",
    "flavours in a list": "flavors: [onnx]\n",
    "flavours without settings": "flavors: {onnx: 1}\n",
    "flavours by number": "flavors: {1: {}}\n",
    "an object": "flavors: {onnx: !!python/object/apply:os.mkdir [marker]}\n",
    "a bomb of merge keys": BOMB + "flavors: {onnx: {}}\n",
    "too deep": "[" * 250_000,
    "too deep by lines": "".join(f"{' ' * depth}a:\n" for depth in range(400)),
    "a truth value that is none": "flavors: {onnx: !!bool maybe}\n",
    "a number without digits": "flavors: {onnx: !!int '_'}\n",
    "a time that is none": "flavors: {onnx: !!timestamp soon}\n",
    "no text": "\x00\x01",
    "too large": ONNX + "#" * (256 << 10),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_an_mlmodel_that_is_not_sound_is_no_folder_of_mlflow(text: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text(text)
    (tmp_path / "model" / "model.onnx").write_bytes(linear().SerializeToString())
    for name in ("mlflow", "mlflow-pyfunc"):
        one = mlops_format(name)()
        assert not one.sniff(tmp_path / "model")
        with pytest.raises(ArtifactError, match="is no folder with") as caught:
            one.read(tmp_path / "model")
        assert "\n" not in caught.value.message
    assert not (tmp_path / "marker").exists()


def test_damage_to_the_model_is_an_artifact_error(tmp_path: Path, folders: Folders) -> None:
    shutil.copytree(folders.onnx, tmp_path / "model")
    file = tmp_path / "model" / "model.onnx"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match=r"format mlflow: model\.onnx is no sound ONNX model"):
        MlflowFormat().read(tmp_path / "model")
    for at in range(0, len(whole), max(1, len(whole) // 50)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            MlflowFormat().read(tmp_path / "model")
        except ArtifactError as error:
            assert "\n" not in error.message  # noqa: PT017  the error is allowed, not demanded: a flip may hit padding
