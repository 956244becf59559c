"""Which rows are held out: a share at random, or the later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_core.exceptions import PipelineError
from mlops_stage_tabular.features import kind_of
from mlops_stage_tabular.tables import kept

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["by_time", "random_split"]


def random_split(table: pa.Table, strata: NDArray[Any] | None, share: float, rng: Generator) -> tuple[pa.Table, pa.Table]:
    """Train and held-out rows, each in the order of the table; of each class in ``strata`` the same share is held out.

    Of a rare class at least one row is held out and one is not, where the share is large enough to give each class one.
    """
    import numpy as np

    groups = [np.arange(table.num_rows)] if strata is None else [np.flatnonzero(strata == one) for one in np.unique(strata)]
    least = 1 if round(table.num_rows * share) >= len(groups) else 0
    out = np.zeros(table.num_rows, dtype=bool)
    for group in groups:
        count = min(max(round(len(group) * share), least), len(group) - 1)
        out[rng.permutation(group)[:count]] = True
    return _halves(table, out)


def by_time(table: pa.Table, column: str, share: float, first: Any, stage: str) -> tuple[pa.Table, pa.Table]:
    """Train on rows before ``first`` and hold out the rest; without ``first``, the last ``share`` of the rows by time.

    Rows of one time are never divided, so a share may come out a little larger.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if table[column].null_count:
        raise PipelineError(f"{stage}: time: column {column!r} has {table[column].null_count} missing values - drop those rows before")
    kind = table.schema.field(column).type
    if not pa.types.is_temporal(kind) and not kind_of(kind):
        raise PipelineError(f"{stage}: time: column {column!r} is {kind} - name one of times, numbers or text")
    if first is not None:
        train, held_out = (kept(table, [[column, operator, first]], stage, "test_from") for operator in ("<", ">="))
        return _checked(train, held_out, stage, f"test_from: {first!r}")
    ordered = pc.sort_indices(table[column])
    first = table[column][ordered[int(table.num_rows * (1 - share))].as_py()]
    out = pc.greater_equal(table[column], first)
    return _checked(*_halves(table, np.asarray(out.to_numpy())), stage, f"time: {column!r}")


def _halves(table: pa.Table, out: NDArray[Any]) -> tuple[pa.Table, pa.Table]:
    import pyarrow as pa

    return table.filter(pa.array(~out)), table.filter(pa.array(out))


def _checked(train: pa.Table, held_out: pa.Table, stage: str, cause: str) -> tuple[pa.Table, pa.Table]:
    for part, what in ((train, "train on"), (held_out, "hold out")):
        if part.num_rows == 0:
            raise PipelineError(f"{stage}: {cause} leaves no row to {what} - choose another point in time")
    return train, held_out
