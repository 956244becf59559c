"""From a table to what an estimator takes: which columns, in which order, as which matrix.

The matrix is the one that the formats' predictors build when the model serves: columns in the schema's order; floats where all of them are
numbers or truth values, else objects with None for a missing text and NaN for a missing number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from mlops_core.exceptions import PipelineError
from mlops_core.records import Column, Schema
from mlops_stage_tabular.tables import need_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Features", "kind_of", "labels_of", "matrix_of", "schema_of"]

_STAGE: Final = "sklearn"


@frozen
class Features:
    """Input columns of a model, those of numbers first; ``words`` are the ones to encode."""

    numbers: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def choose(cls, table: pa.Table, target: str, wanted: Sequence[str], excluded: Sequence[str], categorical: Sequence[str]) -> Features:
        """The wanted columns, or all that are numbers, truth values or text and not wholly missing, less the target and the excluded.

        Raises:
            PipelineError: A column does not exist, is the target, wholly missing, or of a type that no estimator takes.
        """
        for option, names in (("target", [target]), ("features", wanted), ("exclude", excluded), ("categorical", categorical)):
            need_columns(table, names, _STAGE, option)
        if target in wanted:
            raise PipelineError(f"{_STAGE}: features: {target!r} is the target - leave it out, or the model sees the answer")
        usable = {name: kind_of(table.schema.field(name).type) for name in table.column_names if table[name].null_count < table.num_rows}
        for name in wanted:
            if name not in usable:
                raise PipelineError(f"{_STAGE}: features: column {name!r} has only missing values in the training rows - leave it out")
            if not usable[name]:
                kind = table.schema.field(name).type
                raise PipelineError(f"{_STAGE}: features: column {name!r} is {kind} - derive numbers or text from it before training")
        names = wanted or [name for name in table.column_names if usable.get(name) and name not in {target, *excluded}]
        for name in categorical:
            if name not in names:
                raise PipelineError(f"{_STAGE}: categorical: column {name!r} is no feature - leave it out, or name it in 'features'")
        words = tuple(name for name in names if usable[name] == "text" or name in categorical)
        if not names:
            raise PipelineError(f"{_STAGE}: features: no column is left to learn from - name some in 'features'")
        return cls(tuple(name for name in names if name not in words), words)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in the order of the matrix."""
        return self.numbers + self.words

    def inputs(self, table: pa.Table) -> tuple[Column, ...]:
        """Their place in the schema: dtype, and whether a value may be missing as some are here."""
        return tuple(Column(name, _dtype(table.schema.field(name).type), nullable=table[name].null_count > 0) for name in self.names)


def matrix_of(table: pa.Table, names: Sequence[str]) -> NDArray[Any]:
    """Rows by columns, shape (n, len(names)): float64, or object if a column is text."""
    import numpy as np

    columns = [_values(table[name]) for name in names]
    if all(column.dtype.kind == "f" for column in columns):
        return np.column_stack(columns)
    rows = np.empty((table.num_rows, len(columns)), dtype=object)
    for number, column in enumerate(columns):
        rows[:, number] = column
    return rows


def labels_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """A target without missing values as it is: text, whole numbers, truth values or reals."""
    import numpy as np

    values = np.asarray(column.to_numpy())
    return values.astype(str) if kind_of(column.type) == "text" else values


def schema_of(table: pa.Table, features: Features, labels: NDArray[Any], classes: int) -> Schema:
    """The version's schema: ``prediction`` with the target's dtype, ``probability`` with one column per class where there are classes."""
    label = "str" if labels.dtype.kind == "U" else str(labels.dtype)
    outputs = [Column("prediction", label if classes else "float64")]
    if classes:
        outputs.append(Column("probability", "float64", (classes,)))
    return Schema(features.inputs(table), tuple(outputs))


def kind_of(kind: pa.DataType) -> str:
    """``number`` (truth values too) or ``text``, and nothing for what no estimator takes."""
    import pyarrow as pa

    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return "number"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else ""


def _dtype(kind: pa.DataType) -> str:
    import pyarrow as pa

    if kind_of(kind) == "text":
        return "str"
    if pa.types.is_boolean(kind):
        return "bool"
    return "int64" if pa.types.is_integer(kind) else "float64"


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    """One column of a matrix: float64 with NaN, or objects with None."""
    import numpy as np
    import pyarrow as pa

    column = column if kind_of(column.type) == "text" else column.cast(pa.float64(), safe=False)
    return np.asarray(column.to_numpy())
