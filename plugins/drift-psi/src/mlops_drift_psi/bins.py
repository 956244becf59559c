"""The bins of a reference sample, and counts in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Bins"]

_FEWEST_PER_BIN: Final = 5
_FEW_EDGES: Final = 64  # up to here comparing all values with each edge, in vector instructions, is faster than a search for each value


@frozen(eq=False)
class Bins:
    """Bins and how many reference values lie in each.

    Numeric: bin i is (edges[i-1], edges[i]], the outer ones are open to infinity. Categorical (``edges`` None): bin i is the code i.
    ``tied`` tells whether some value of a numeric reference occurs twice.
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64] | None = None
    tied: bool = False

    @classmethod
    def by_quantile(cls, values: NDArray[Any], most: int) -> Self:
        """Bins of equal shares of the reference, ``most`` of them or as many as leave five values in each.

        Quantiles that coincide are merged. A value that by itself exceeds its share has a bin of its own, so that what lies below it is
        seen: the reference may be constant.
        """
        ordered = np.sort(np.asarray(values, dtype=np.float64))
        n = len(ordered)
        wanted = max(2, min(most, n // _FEWEST_PER_BIN))
        ranks = -(-np.arange(1, wanted) * n // wanted) - 1
        edges = np.unique(ordered[ranks])
        share = np.searchsorted(ordered, edges, side="right") - np.searchsorted(ordered, edges, side="left")
        just_below = np.nextafter(edges[share * wanted > n], -np.inf)
        edges = np.union1d(edges, just_below)
        counts = np.diff(np.searchsorted(ordered, edges, side="right"), prepend=0, append=n)
        return cls(counts.astype(np.int64), edges, bool((ordered[1:] == ordered[:-1]).any()))

    @classmethod
    def by_category(cls, codes: NDArray[Any]) -> Self:
        """One bin for each code."""
        return cls(np.bincount(codes).astype(np.int64))

    def count(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """How many values lie in each bin; codes that the reference does not have follow in bins of their own."""
        if self.edges is None:
            return np.bincount(values, minlength=len(self.counts)).astype(np.int64)
        if len(self.edges) > _FEW_EDGES:
            return np.bincount(np.searchsorted(self.edges, values, side="left"), minlength=len(self.counts)).astype(np.int64)
        return np.diff([np.count_nonzero(values <= edge) for edge in self.edges], prepend=0, append=len(values))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays."""
        arrays: dict[str, NDArray[Any]] = {"counts": self.counts, "tied": np.array(self.tied)}
        return arrays if self.edges is None else {**arrays, "edges": self.edges}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What ``to_arrays`` answered, back again."""
        return cls(arrays["counts"], arrays.get("edges"), bool(arrays["tied"]))
