from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from mlops_core import Project
from mlops_core.artifacts import Artifacts
from mlops_core.exceptions import ArtifactError, CapabilityError, MLOpsError
from mlops_core.records import Column, Schema
from mlops_core.testing.format_suite import FormatSuite
from mlops_format_safetensors import mlops_format
from mlops_format_safetensors.safetensors_format import SafetensorsFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ARRAYS = {"scale": np.array([2.0, 3.0], np.float32), "shift": np.array(1.0)}
MODEL = """
class Line:
    def __init__(self, arrays, schema):
        self.arrays, self.schema = arrays, schema

    def predict(self, columns):
        return {"y": columns["x"] * self.arrays["scale"][0] + self.arrays["shift"]}


class Silent:
    def __init__(self, arrays, schema): ...


class Refusing(Line):
    def __init__(self, arrays, schema):
        raise KeyError("bias")
"""


def file_of(header: Any, content: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + content


def one(dtype: str = "F32", shape: Sequence[int] = (1,), at: Sequence[int] = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(at)}


@pytest.fixture(autouse=True)
def _modules_as_before() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("mlops_predictor_"):
            del sys.modules[name]


class TestSafetensorsFormatConforms(FormatSuite):
    def format(self) -> SafetensorsFormat:
        return SafetensorsFormat()

    def values(self) -> Sequence[Any]:
        kinds = [
            "bool",
            "complex64",
            "float16",
            "float32",
            "float64",
            "int8",
            "uint8",
            "int16",
            "uint16",
            "int32",
            "uint32",
            "int64",
            "uint64",
        ]
        grid = np.arange(12.0).reshape(3, 4)
        return [
            {kind: np.array([0, 1, 1]).astype(kind) for kind in kinds},
            ARRAYS,
            {"": np.zeros((0, 3)), "жук": np.array([np.nan, np.inf])},
            {"turned": grid.T, "columns": np.asfortranarray(grid), "every second": grid[:, ::2], "backwards": grid[::-1]},
        ]

    def refused(self) -> Sequence[Any]:
        masked = np.ma.masked_array([1, 2], [True, False])
        odd: list[Any] = [[1], 1.5, np.array(["a"]), np.array([None]), np.arange(2, dtype=">f4"), np.array([1j]), masked]
        return [{}, [], ARRAYS["scale"], {1: ARRAYS["scale"]}, {"__metadata__": ARRAYS["scale"]}, *({"a": value} for value in odd)]

    def same(self, left: Any, right: Any) -> bool:
        assert left.keys() == right.keys()
        assert {name: array.dtype for name, array in left.items()} == {name: array.dtype for name, array in right.items()}
        return all(left[name].shape == right[name].shape and np.array_equal(left[name], right[name], equal_nan=True) for name in left)


def test_while_a_thread_is_importing_numpy_nothing_is_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", ModuleType("numpy"))
    assert not SafetensorsFormat().accepts({"scale": [1.0]})


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_format() is SafetensorsFormat


def test_importing_the_plugin_loads_no_library() -> None:
    code = "import sys, mlops_format_safetensors as m; m.mlops_format(); print({'safetensors', 'numpy'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


@settings(max_examples=50)
@given(
    arrays=st.dictionaries(
        st.text().filter(lambda name: name != "__metadata__"),
        st.sampled_from(["float64", "int16", "bool"]).flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, min_side=0))),
        min_size=1,
        max_size=4,
    )
)
def test_every_mapping_of_arrays_comes_back_equal(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("arrays") / "file"
    SafetensorsFormat().write(arrays, path)
    np.testing.assert_equal(SafetensorsFormat().read(path), arrays)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (file_of({"a": one()}, bytes(4), length=1 << 40), r"says that its header has 1099511627776 - restore the file"),
        (file_of({"a": one()}, bytes(4), length=1), "says that its header has 1"),
        (file_of(b'{"a": {"data_offsets"' + b" " * (17 << 20)), "says that its header has 178"),
        (file_of({"a": one()}, bytes(3)), "cannot be read: .*not fully covered"),
        (file_of({"a": one()}, bytes(5)), "cannot be read: .*not fully covered"),
        (file_of({"a": one(shape=(2,))}, bytes(4)), "cannot be read: .*invalid shape"),
        (file_of({"a": one(shape=(1 << 40, 1 << 40))}, bytes(4)), "cannot be read: .*overflow"),
        (file_of({"a": one(), "b": one()}, bytes(4)), "cannot be read: .*invalid offset"),
        (file_of({"a": one(at=(4, 8))}, bytes(8)), "cannot be read: .*invalid offset"),
        (file_of({"a": one("F8_E4M3", at=(0, 1))}, bytes(1)), "cannot be read: "),
        (file_of(b'{"data_offsets"' + b"[" * 20_000), "cannot be read: "),
    ],
)
def test_a_header_that_promises_too_much_is_refused(content: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    SafetensorsFormat().sniff(tmp_path / "file")
    with pytest.raises(ArtifactError, match=cause) as caught:
        SafetensorsFormat().read(tmp_path / "file")
    assert "\n" not in caught.value.message


def test_a_file_of_another_tool_with_notes_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(save(ARRAYS, metadata={"format": "pt"}))
    assert SafetensorsFormat().sniff(tmp_path / "file")
    np.testing.assert_equal(SafetensorsFormat().read(tmp_path / "file"), ARRAYS)


@pytest.mark.parametrize(
    ("named", "cause"),
    [
        ("", r"arrays, which predict nothing by themselves - name .*: formats: \[\{use: safetensors, predictor: '\./file\.py:MyModel'\}\]"),
        ("Line", "'Line' names no class - write 'my_module:MyModel'"),
        ("line.py:", "names no class"),
        ("line.py:Lin", "has no 'Lin' - name a class that it has"),
        ("gone.py:Line", "'gone.py' cannot be imported: FileNotFoundError: there is no such file; one beside the configuration is written"),
        ("no_such_module:Line", "'no_such_module' cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("broken.py:Line", "'broken.py' cannot be imported: ZeroDivisionError: division by zero"),
        ("line.py:Silent", "has no method 'predict' - write"),
    ],
)
def test_what_predicts_must_be_named_and_be_there(named: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "line.py").write_text(MODEL)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(CapabilityError, match=cause) as caught:
        SafetensorsFormat(named).predictor(ARRAYS, None)
    assert "\n" not in caught.value.message
    if named:
        with pytest.raises(CapabilityError, match=cause):
            SafetensorsFormat(named).check()


def test_nothing_is_imported_to_check_a_format_that_only_stores() -> None:
    SafetensorsFormat().check()


def test_the_class_is_made_of_the_arrays_and_the_schema(tmp_path: Path) -> None:
    (tmp_path / "line.py").write_text(MODEL)
    schema = Schema((Column("x", "float64"),))
    line: Any = SafetensorsFormat("line.py:Line").predictor(ARRAYS, schema)
    assert line.schema is schema
    np.testing.assert_array_equal(line.predict({"x": np.array([1.0, 2.0])})["y"], [3.0, 5.0])
    assert type(SafetensorsFormat(str(tmp_path / "line.py:Line")).predictor(ARRAYS, None)) is type(line), "one file is imported once"


def test_an_installed_module_is_meant_by_its_name() -> None:
    with pytest.raises(CapabilityError, match="has no method 'predict'"):
        SafetensorsFormat("collections:OrderedDict").predictor(ARRAYS, None)


@pytest.mark.parametrize(("name", "cause"), [("Line", None), ("Refusing", "could not make a predictor of it: KeyError: 'bias'")])
def test_a_project_names_the_class_in_its_configuration(
    name: str, cause: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "line.py").write_text(MODEL)
    (tmp_path / "mlops.yaml").write_text(
        "version: 1\ntracker: []\nregistry: mlops_core.testing.memory_registry:MemoryRegistry\nenvironments: {}\n"
        f"formats: [json, {{use: safetensors, predictor: './line.py:{name}'}}]\n"
    )
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with Project.open(tmp_path) as project:
        version = project.versioning.get_version("line", project.versioning.version_model("line", model=ARRAYS))
        assert version.format == "safetensors"
        np.testing.assert_equal(project.versioning.load_model("line"), ARRAYS)
        load = project.stack.parts.formats["safetensors"].predictor
        if cause is None:
            assert load(ARRAYS, None).predict({"x": np.array([1.0])})["y"] == [3.0]
        else:
            with pytest.raises(MLOpsError, match=cause):
                Artifacts(project.stack).predictor(version)
