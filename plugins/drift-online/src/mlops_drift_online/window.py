"""The newest values of a stream in few buckets: the exponential histogram of ADWIN2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Window"]


@define
class Window:
    """The newest values: row i holds buckets of 2**i values, the oldest first, each as its mean and sum of squared deviations from it.

    Rows of larger buckets are older. ``seen`` counts all values ever added.
    """

    seen: int = 0
    rows: list[list[tuple[float, float]]] = field(factory=list)

    def add(self, value: float, most: int) -> None:
        """Add a value as a bucket of its own; a row of more than ``most`` buckets hands its two oldest on as one."""
        self.seen += 1
        bucket = (value, 0.0)
        for i, row in enumerate(self.rows):
            row.append(bucket)
            if len(row) <= most:
                return
            (older, squares), (newer, more) = row[:2]
            del row[:2]
            apart = newer - older
            bucket = (older + apart / 2, squares + more + 2**i * apart * apart / 2)
        self.rows.append([bucket])

    def drop_oldest(self) -> None:
        """Forget the oldest bucket."""
        del self.rows[-1][0]
        while self.rows and not self.rows[-1]:
            del self.rows[-1]

    def to_columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Counts, means and sums of squares of all buckets, the oldest first."""
        rows = range(len(self.rows) - 1, -1, -1)
        counts = np.repeat([2.0**i for i in rows], [len(self.rows[i]) for i in rows])
        pairs = np.array([bucket for i in rows for bucket in self.rows[i]]).reshape(-1, 2)
        return counts, pairs[:, 0], pairs[:, 1]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays."""
        _, means, squares = self.to_columns()
        lengths = np.array([len(row) for row in self.rows], dtype=np.int64)
        return {"seen": np.array(self.seen), "lengths": lengths, "means": means, "squares": squares}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What ``to_arrays`` answered, back again."""
        buckets = list(zip(arrays["means"].tolist(), arrays["squares"].tolist(), strict=True))
        ends = np.cumsum(arrays["lengths"][::-1])[::-1].tolist()
        starts = [*ends[1:], 0]
        return cls(int(arrays["seen"]), [buckets[start:end] for start, end in zip(starts, ends, strict=True)] if ends else [])
