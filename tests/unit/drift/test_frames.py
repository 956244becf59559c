"""pandas, polars and pyarrow give the same columns."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlops_core.drift.frames import from_native, named_series, series_column
from mlops_core.exceptions import DriftDetectionError

BUSY = ModuleSpec("pyarrow", None)
BUSY._initializing = True  # type: ignore[attr-defined]  # noqa: SLF001  as Python marks a module that is being imported

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS: dict[str, list[Any]] = {
    "number": [1.5, None, 3.0],
    "whole": [1, 2, None],
    "flag": [True, None, False],
    "text": ["b", "a", None],
    "moment": [START, None, START + timedelta(hours=2)],
    "day": [date(2024, 1, 1), date(2024, 1, 2), None],
    "length": [timedelta(seconds=1), timedelta(seconds=2), None],
}
FULL: dict[str, list[Any]] = {name: [value if value is not None else values[0] for value in values] for name, values in ROWS.items()}
ARROW = pa.table(ROWS)
LIBRARIES = {
    "pyarrow": ARROW,
    "polars": pl.DataFrame(ROWS),
    "pandas on arrow": ARROW.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas": pd.DataFrame(ROWS).astype({"flag": "boolean"}),
}


def columns_of(frame: Any, wanted: list[str] | None = None, side: str = "current") -> Any:
    read, _ = from_native(side, frame)
    assert read is not None
    return {name: series_column(side, name, one) for name, one in named_series(side, read, wanted).items()}


@pytest.mark.parametrize("frame", LIBRARIES.values(), ids=LIBRARIES)
def test_every_library_gives_the_same_columns(frame: Any) -> None:
    columns = columns_of(frame)
    assert {name: (column.kind, column.missing) for name, column in columns.items()} == {
        "number": ("number", 1),
        "whole": ("number", 1),
        "flag": ("boolean", 1),
        "text": ("category", 1),
        "moment": ("datetime", 1),
        "day": ("datetime", 1),
        "length": ("duration", 1),
    }
    assert columns["number"].present().tolist() == [1.5, 3.0]
    assert columns["whole"].present().tolist() == [1.0, 2.0]
    assert columns["flag"].data.tolist() == [1, -1, 0]
    assert (columns["text"].categories, columns["text"].data.tolist()) == (("a", "b"), [1, 0, -1])
    assert columns["moment"].present().tolist() == [START.timestamp() * 1e6, START.timestamp() * 1e6 + 7.2e9]
    assert np.diff(columns["day"].present()).tolist() == [86.4e9]
    assert columns["length"].present().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"])
def test_columns_without_gaps(make: Any) -> None:
    assert {name: column.missing for name, column in columns_of(make(FULL)).items()} == dict.fromkeys(FULL, 0)


def test_while_a_thread_is_importing_pyarrow_nothing_is_a_batch_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", module_from_spec(BUSY))
    assert from_native("current", type("RecordBatch", (), {})()) == (None, None)


def test_categorical_columns() -> None:
    for series in (pd.Series(["b", "a", "b"], dtype="category"), pd.Series([2, 1, 2]).astype("category")):
        assert columns_of(pd.DataFrame({"c": series}))["c"].data.tolist() == [1, 0, 1]
    assert columns_of(pl.DataFrame({"c": pl.Series(["b", "a"], dtype=pl.Enum(["b", "a", "z"]))}))["c"].categories == ("a", "b")
    assert columns_of(pa.table({"c": pa.array(["b", "a"]).dictionary_encode()}))["c"].categories == ("a", "b")


def test_decimals_are_numbers() -> None:
    for frame in (pl.DataFrame({"d": [Decimal("1.5"), Decimal(2)]}), pa.table({"d": [Decimal("1.5"), Decimal("2.0")]})):
        assert columns_of(frame)["d"].present().tolist() == [1.5, 2.0]


def test_only_wanted_columns_are_looked_at() -> None:
    frame = pl.DataFrame({"a": [1, 2], "nested": [[1], [2]]})
    assert list(columns_of(frame, ["a"])) == ["a"]
    with pytest.raises(DriftDetectionError, match=r"column 'nested' is of type List\(Int64\) - give numbers"):
        columns_of(frame)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DriftDetectionError, match=r"^drift: current data: the table cannot be read: DuplicateError: .*'a'") as found:
        columns_of(pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]))
    assert "\n" not in found.value.message
    with pytest.raises(DriftDetectionError, match="column '0' is there twice - give each column a name of its own"):
        columns_of(pd.DataFrame([[1, 2], [3, 4]], columns=[0, "0"]))


def test_a_library_that_fails_is_told_with_the_column(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError("cannot allocate\n8 GiB")

    monkeypatch.setattr(pl.Series, "to_numpy", fail)
    with pytest.raises(DriftDetectionError, match=r"current data: column 'm' cannot be read as Int64: MemoryError: cannot allocate 8 GiB"):
        columns_of(pl.DataFrame({"m": [1, 2]}))


@pytest.mark.parametrize("frame", [pl.DataFrame({"a": [None, None]}), pa.table({"a": pa.nulls(3)}), pd.DataFrame({"a": [None, None]})])
def test_a_column_of_nothing_is_refused(frame: Any) -> None:
    with pytest.raises(DriftDetectionError, match="column 'a' holds only missing values"):
        columns_of(frame, side="reference")


@pytest.mark.parametrize("data", [object(), 3.5, "text.csv", pl.LazyFrame({"a": [1]}), {"a": [1]}])
def test_what_is_no_table_in_memory(data: Any) -> None:
    assert from_native("current", data) == (None, None)
