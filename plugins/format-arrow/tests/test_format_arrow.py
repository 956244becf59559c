from __future__ import annotations

import datetime as dt
import decimal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_core.exceptions import ArtifactError
from mlops_core.testing.format_suite import FormatSuite
from mlops_format_arrow import mlops_format
from mlops_format_arrow.formats import ArrowFormat, ParquetFormat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = {
    "whole": pa.array([1, None, 3], pa.int16()),
    "real": pa.array([1.5, float("inf"), None]),
    "text": pa.array(["a", "жук", None]),
    "flag": pa.array([True, None, False]),
    "at": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None, dt.datetime(1900, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
    "day": pa.array([dt.date(2024, 1, 1), None, dt.date(1, 1, 1)]),
    "money": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("-99.99")], pa.decimal128(6, 2)),
    "code": pa.array(["x", "y", "x"]).dictionary_encode(),
    "many": pa.array([[1, 2], [], None], pa.list_(pa.int32())),
    "nested": pa.array([{"a": 1, "b": "z"}, None, {"a": None, "b": ""}]),
    "bytes": pa.array([b"\x00", None, b"\xff"]),
    "nothing": pa.array([None, None, None]),
}


def tables() -> list[pa.Table]:
    table = pa.table(COLUMNS)
    return [
        table,
        table.replace_schema_metadata({"origin": "a test"}),
        table.slice(0, 0),
        pa.concat_tables([table, table.slice(1)]),
        pa.table({"a": np.arange(3)}),
    ]


def frames() -> list[Any]:
    pandas = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])}, index=pd.Index([7, 9], name="key"))
    plain = pd.DataFrame(
        {
            "day": pd.Series([dt.date(2024, 1, 1), None], dtype=object),
            "money": pd.Series([decimal.Decimal("1.10"), decimal.Decimal("2.25")], dtype=object),
            "raw": pd.Series([b"x", b""], dtype=object),
            "nothing": pd.Series([None, None], dtype=object),
            "count": pd.Series([1, None], dtype="Int64"),
            "at": pd.to_datetime(["2024-01-01", "2024-01-02"]),
        }
    )
    typed = pl.DataFrame({"c": pl.Series(["u", "v"], dtype=pl.Categorical), "l": [[1], []], "s": [{"x": 1}, None], "t": [dt.time(1), None]})
    return [pandas, pandas.reset_index(drop=True), plain, plain.head(0), pl.DataFrame({"a": [1, None], "b": ["x", "y"]}), typed]


def precise() -> list[pa.Table]:
    codes = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), ["x", "y"])
    return [
        pa.table({"second": pa.array([1, -1, None], pa.timestamp("s")), "span": pa.array([2, 0, None], pa.duration("ns")), "code": codes})
    ]


def unlike() -> list[Any]:
    mixed = pd.DataFrame({"a": [1, "x", object()]})
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    return [[1, 2], {"a": [1]}, np.zeros((2, 2)), pa.array([1]), pd.Series([1]), mixed, twice, *changed()]


def changed() -> list[Any]:
    """Frames that Arrow takes, and gives back as something else."""
    objects: list[list[Any]] = [
        [{"x": 1}, {"y": 2}],
        [b"x", "y"],
        [(1, 2), (3, 4)],
        [1, None],
        [True, False],
        [2**70, 1],
        [dt.datetime(2024, 1, 1), dt.date(2024, 1, 1)],  # noqa: DTZ001  pandas' times mostly have no zone
        [dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 5)],  # noqa: DTZ001  the same
        [np.str_("a"), "b"],
    ]
    noted = pd.DataFrame({"a": [1]})
    noted.attrs = {1: "JSON has text keys only"}
    return [
        *(pd.DataFrame({"a": pd.Series(column, dtype=object)}) for column in objects),
        pd.DataFrame({"a": [1, 2]}, index=pd.Index([1, "x"], dtype=object)),
        pd.DataFrame([[1, 2]], columns=pd.Index([0, "a"], dtype=object)),
        pd.DataFrame({"a": pd.Categorical(pd.Series([(1, 2)], dtype=object))}),
        noted,
        pl.DataFrame({"a": [{1, 2}, {3}]}),
        pl.DataFrame({"a": pl.Series([object(), None], dtype=pl.Object)}),
    ]


class _TableSuite(FormatSuite):
    def refused(self) -> Sequence[Any]:
        return unlike()

    def same(self, left: Any, right: Any) -> bool:
        if isinstance(left, pd.DataFrame):
            pd.testing.assert_frame_equal(left, right)
            return True
        if isinstance(left, pl.DataFrame):
            return type(left) is type(right) and left.equals(right)
        return isinstance(right, pa.Table) and left.equals(right, check_metadata=True)


class TestArrowFormatConforms(_TableSuite):
    def format(self) -> ArrowFormat:
        return ArrowFormat()

    def values(self) -> Sequence[Any]:
        return [*tables(), *frames(), *precise()]


class TestParquetFormatConforms(_TableSuite):
    def format(self) -> ParquetFormat:
        return ParquetFormat()

    def values(self) -> Sequence[Any]:
        return [*tables(), *frames(), *precise()]


@pytest.mark.parametrize("name", ["arrow", "parquet"])
def test_the_hook_hands_over_the_class_of_that_name(name: str) -> None:
    assert mlops_format(name).name == name


@pytest.mark.parametrize("one", [ArrowFormat(), ParquetFormat(), ArrowFormat("lz4"), ParquetFormat("none"), ArrowFormat("none")])
@settings(max_examples=25)
@given(
    rows=st.lists(st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.floats(allow_nan=False), st.text()), max_size=20)
)
def test_every_table_comes_back_equal(
    one: ArrowFormat | ParquetFormat, rows: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("table") / "table"
    table = pa.table({str(i): pa.array([row[i] for row in rows], kind) for i, kind in enumerate([pa.int64(), pa.float64(), pa.string()])})
    one.write(table, path)
    assert one.read(path).equals(table)


@pytest.mark.parametrize("kind", [pa.dictionary(pa.int8(), pa.binary(2)), pa.month_day_nano_interval()])
def test_a_type_that_parquet_changes_is_left_to_arrow(kind: pa.DataType) -> None:
    table = pa.schema([("a", kind)]).empty_table()
    assert ArrowFormat().accepts(table)
    assert not ParquetFormat().accepts(table)


def test_without_its_library_a_frame_comes_back_as_arrow(tmp_path: Path) -> None:
    ParquetFormat().write(pl.DataFrame({"a": [1]}), tmp_path / "frame")
    code = (
        "import sys; sys.modules['polars'] = None\n"
        "from pathlib import Path\n"
        "from mlops_format_arrow.formats import ParquetFormat\n"
        f"print(type(ParquetFormat().read(Path({str(tmp_path / 'frame')!r}))).__module__)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "pyarrow.lib"


def test_the_note_of_a_hostile_file_imports_nothing(tmp_path: Path) -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata({"mlops.table": "antigravity"})
    ArrowFormat().write(table, tmp_path / "table")
    assert ArrowFormat().read(tmp_path / "table").column_names == ["a"]
    assert "antigravity" not in sys.modules


def test_importing_the_plugin_loads_no_library() -> None:
    code = "import sys, mlops_format_arrow as m; m.mlops_format('arrow'); print({'pyarrow', 'pandas', 'polars'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_a_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32).tobytes()), pa.py_buffer(b"\xff\xfe")])
    with pa.ipc.new_file(str(tmp_path / "table"), pa.schema([("a", pa.string())])) as writer:
        writer.write_batch(pa.record_batch([broken], names=["a"]))
    with pytest.raises(ArtifactError, match="is no readable table"):
        ArrowFormat().read(tmp_path / "table")
