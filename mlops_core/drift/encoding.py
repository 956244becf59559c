"""Both sides of a table as one matrix of numbers, for what regresses on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops_core.drift.pairing import pair
from mlops_core.drift.reference import Reference
from mlops_core.drift.schema import INFERRED
from mlops_core.drift.table import read_table
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlops_core.drift.column import Column
    from mlops_core.drift.schema import Schema

__all__ = ["encode_both"]

_MOST_CATEGORIES: Final = 20
_SMALLEST: Final = 1e-12


def encode_both(reference: Any, current: Any, schema: Schema = INFERRED) -> tuple[NDArray[np.float64], int]:
    """The reference's rows, then the current ones, of the columns that both sides have; and how many are the reference's.

    Each column of the answer has mean 0 and variance 1; constant ones are left out. Numbers as they are, a missing one as the mean, and
    whether it was missing; categories as one column for each of the 20 most frequent.

    Raises:
        DriftDetectionError: A side cannot be read, comes in chunks, or they have no column in common.
    """
    for side, data in (("reference", reference), ("current", current)):
        if isinstance(data, Iterator):
            raise DriftDetectionError(f"drift: {side} data: its rows must stay beside their labels - give a table in place of chunks")
    before, after = (read_table(side, data, None, schema) for side, data in (("reference", reference), ("current", current)))
    fitted = Reference.of(before)
    paired = pair(fitted, after).columns
    found = [part for one in before.columns if one.name in paired for part in _columns(one, paired[one.name])]
    encoded = np.stack(found, axis=1) if found else np.zeros((before.rows + after.rows, 0))
    encoded -= encoded.mean(axis=0)
    spread = encoded.std(axis=0)
    kept = spread > _SMALLEST * np.maximum(1, np.abs(encoded).max(axis=0, initial=0))
    return np.ascontiguousarray(encoded[:, kept] / spread[kept]), before.rows


def _columns(before: Column, after: Column) -> Iterator[NDArray[np.float64]]:
    if before.is_numeric:
        values = np.concatenate([before.data, after.data])
        missing = np.isnan(values)
        size = np.abs(values[~missing]).max(initial=0)
        values /= size or 1  # a sum of large values may be infinite
        yield np.where(missing, values[~missing].mean() if not missing.all() else 0.0, values)
        if missing.any():
            yield missing.astype(np.float64)
        return
    codes = np.concatenate([before.data, after.data])
    counts = np.bincount(codes[codes >= 0])
    for code in np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]:
        yield (codes == code).astype(np.float64)
