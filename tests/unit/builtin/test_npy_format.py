from __future__ import annotations

import io
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from mlops_core.builtin.npy_format import NpyFormat, mlops_format
from mlops_core.exceptions import ArtifactError
from mlops_core.testing.format_suite import FormatSuite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def test_while_a_thread_is_importing_numpy_nothing_is_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", ModuleType("numpy"))
    assert not NpyFormat().accepts([1.0])


class TestNpyFormatConforms(FormatSuite):
    def format(self) -> NpyFormat:
        return NpyFormat()

    def values(self) -> Sequence[Any]:
        return [
            np.arange(12.0).reshape(3, 4),
            np.asfortranarray(np.arange(12.0).reshape(3, 4)),
            np.array(3),
            np.zeros((0, 3), dtype=np.int8),
            np.array(["a", "жук"]),
            np.array(["2024-01-01", "NaT"], dtype="datetime64[ns]"),
            np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", ">f8")]),
            np.array([np.nan, np.inf]),
        ]

    def refused(self) -> Sequence[Any]:
        noted = np.dtype("f8", metadata={"unit": "m"})
        return [
            np.array([object()], dtype=object),
            np.ma.masked_array([1.0], mask=[True]),
            np.array([(1, 2.5)], dtype=[("ж", "i4"), ("b", ">f8")]),
            np.float64(1.0),
            [1.0],
            np.zeros(2, dtype=noted),
            np.array(["a"], dtype=np.dtypes.StringDType()),
        ]

    def same(self, left: NDArray[Any], right: NDArray[Any]) -> bool:
        np.testing.assert_array_equal(left, right)
        return left.dtype == right.dtype and left.flags.f_contiguous == right.flags.f_contiguous


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_format() is NpyFormat


@given(array=hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
def test_every_plain_array_comes_back_equal(array: NDArray[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("npy") / "array"
    NpyFormat().write(array, path)
    back = NpyFormat().read(path)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("shape", ["(999999999999,)", "(1, 99999999)", "(2,)"])
def test_a_header_that_promises_another_size_is_refused_before_memory_is_taken(shape: str, tmp_path: Path) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    (tmp_path / "array").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\0" * 8)
    with pytest.raises(ArtifactError, match="do not fit shape"):
        NpyFormat().read(tmp_path / "array")


def test_a_file_of_objects_is_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    np.save(target, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "array").write_bytes(target.getvalue())
    with pytest.raises(ArtifactError, match="Python objects"):
        NpyFormat().read(tmp_path / "array")
