"""pandas, polars, pyarrow and other data frames and series to columns, by narwhals."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops_core.drift.arrays import object_column
from mlops_core.drift.column import CHUNK, boolean_column, category_column, number_column, problem
from mlops_core.drift.guard import cause_of
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from narwhals import DataFrame, Series
    from numpy.typing import NDArray

    from mlops_core.drift.column import Column

__all__ = ["from_native", "named_series", "series_column"]

_MICROSECONDS: Final = 1e6


def from_native(side: str, data: Any) -> tuple[DataFrame[Any] | None, Series[Any] | None]:
    """A data frame, or a series, of any library that narwhals knows; neither for something else, or what is not in memory.

    Raises:
        DriftDetectionError: It is one that narwhals refuses, such as a data frame with two columns of one name.
    """
    import narwhals as nw

    if type(data).__name__ == "RecordBatch" and (table := getattr(sys.modules.get("pyarrow"), "Table", None)):
        data = table.from_batches([data])  # what a Parquet file is read in
    try:
        found = nw.from_native(data, eager_only=True, allow_series=True)
    except TypeError:
        return None, None
    except Exception as error:
        raise DriftDetectionError(f"drift: {side} data: the table cannot be read: {cause_of(error)}") from error
    return (found, None) if isinstance(found, nw.DataFrame) else (None, found)


def named_series(side: str, frame: DataFrame[Any], wanted: Sequence[str] | None) -> dict[str, Series[Any]]:
    """The columns of a data frame by name, or those of them that are wanted.

    Raises:
        DriftDetectionError: Two have one name.
    """
    names = [str(name) for name in frame.columns]
    for name in names:
        if names.count(name) > 1:
            raise problem(side, name, "is there twice - give each column a name of its own")
    series = zip(names, frame.iter_columns(), strict=True)
    return {name: one for name, one in series if wanted is None or name in wanted}


def series_column(side: str, name: str, series: Series[Any]) -> Column:
    """A column from a series.

    Raises:
        DriftDetectionError: It is of a type that no test can compare, or holds values that none can.
    """
    try:
        return _converted(side, name, series)
    except DriftDetectionError:
        raise
    except Exception as error:
        raise problem(side, name, f"cannot be read as {series.dtype}: {cause_of(error)}") from error


def _converted(side: str, name: str, series: Series[Any]) -> Column:
    import narwhals as nw

    dtype = series.dtype
    if dtype.is_numeric():
        return number_column(side, name, _floats(series))
    if dtype == nw.Boolean:
        return boolean_column(side, name, _floats(series))
    if dtype in (nw.Date, nw.Datetime):
        moments = series.cast(nw.Datetime("us")) if dtype == nw.Date else series
        return number_column(side, name, _floats(moments.dt.timestamp("us")), "datetime")
    if dtype == nw.Duration:
        return number_column(side, name, _floats(series.dt.total_microseconds()) / _MICROSECONDS, "duration")
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        return category_column(side, name, _pieces(series.cast(nw.String)), len(series))
    if dtype not in (nw.Object, nw.Unknown):
        raise problem(side, name, f"is of type {dtype} - give numbers, booleans, text or times")
    return object_column(side, name, series.to_list())


def _floats(series: Series[Any]) -> NDArray[np.float64]:
    import narwhals as nw

    return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)


def _pieces(series: Series[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(series), CHUNK):
        yield series[start : start + CHUNK].to_list()
