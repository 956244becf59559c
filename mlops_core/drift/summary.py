"""How values of a column lie: what is kept of a reference to draw it, and both sides on common bins.

For pictures and words only. Numeric columns are summed up by their quantiles, of at most 8,192 values drawn without regard to their order:
some share is off by more than 0.015 in one column of twenty (Dvoretzky, Kiefer & Wolfowitz 1956, with the constant of Massart 1990).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops_core.drift.results import QUANTILES, Distribution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlops_core.drift.column import Column
    from mlops_core.drift.reference import ColumnProfile

__all__ = ["distribution", "summarise"]

_STEPS: Final = 256
_ENOUGH: Final = 8192
_BINS: Final = 40
_TAIL: Final = 0.005  # of the values of a side lie beyond the outer edges
_LABELS: Final = 12
_EXACT: Final = 2.0**50  # below it there are numbers between whole ones
_NARROWEST: Final = 1e-12  # of the values' size: a narrower range has no room for bins
_SMALLEST: Final = 1e-290
_LARGEST: Final = 1e307


def summarise(column: Column) -> NDArray[Any]:
    """Quantiles at 257 equally spaced probabilities, or the counts of a category's codes; of no values nothing."""
    values = column.present()
    if not column.is_numeric or not len(values):
        return np.bincount(values.astype(np.int64))
    if len(values) > _ENOUGH:
        values = values[np.random.default_rng(0).integers(0, len(values), _ENOUGH)]
    # A value that was there, not one between two: whole numbers stay whole.
    quantiles: NDArray[Any] = np.quantile(values, np.linspace(0, 1, _STEPS + 1), method="inverted_cdf")
    return quantiles


def distribution(profile: ColumnProfile, before: NDArray[Any], column: Column, new_categories: Sequence[str]) -> Distribution | None:
    """Both sides of a column, coded as the reference's; ``before`` is the reference's summary.

    None where the column has no values, or such large ones that their distance is infinite.
    """
    after = summarise(column)
    if column.missing == len(column.data):
        return None
    if column.is_numeric:
        drawable = max(np.abs(side).max() for side in (before, after)) < _LARGEST
        return _by_bin(profile, before, after) if drawable else None
    return _by_category(profile, before, after, (*profile.categories, *new_categories))


def _by_bin(profile: ColumnProfile, before: NDArray[Any], after: NDArray[Any]) -> Distribution:
    edges = _edges(before, after)
    places = np.round(np.array(QUANTILES) * _STEPS).astype(np.int64)
    return Distribution(
        column=profile.name,
        kind=profile.kind,
        reference=_shares(before, edges),
        current=_shares(after, edges),
        edges=tuple(edges.tolist()),
        reference_quantiles=tuple(before[places].tolist()),
        current_quantiles=tuple(after[places].tolist()),
    )


def _edges(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float64]:
    """Of equal width over the bulk of both sides; around each of the whole numbers where these are few."""
    tail = round(_TAIL * _STEPS)
    low, high = (float(pick(before[at], after[at])) for pick, at in ((min, tail), (max, _STEPS - tail)))
    size = max(abs(low), abs(high))
    if high - low < _BINS and size < _EXACT and all((side == np.round(side)).all() for side in (before, after)):
        return np.arange(low - 0.5, high + 1)
    if high - low <= max(size * _NARROWEST, _SMALLEST):
        low, high = low - max(size * 1e-3, 0.5), high + max(size * 1e-3, 0.5)
    return np.linspace(low, high, _BINS + 1)


def _shares(quantiles: NDArray[Any], edges: NDArray[np.float64]) -> tuple[float, ...]:
    """Of each bin: between two quantiles the distribution function rises in a straight line, at a value that repeats by one step."""
    inner = edges[1:-1]
    up_to = np.searchsorted(quantiles, inner, side="right")
    last = np.minimum(up_to, _STEPS)
    below, above = quantiles[np.maximum(up_to - 1, 0)], quantiles[last]
    gap = above - below
    part = np.divide(inner - below, gap, out=np.zeros(len(inner)), where=gap > 0)
    reached = np.clip((np.maximum(up_to - 1, 0) + part) / _STEPS, 0, 1)
    reached[up_to == 0] = 0
    reached[up_to > _STEPS] = 1
    return tuple(np.diff(reached, prepend=0, append=1).tolist())


def _by_category(profile: ColumnProfile, before: NDArray[Any], after: NDArray[Any], labels: Sequence[str]) -> Distribution:
    """The largest categories, and the rest of them together."""
    counts = np.zeros((2, max(len(before), len(after))))
    counts[0, : len(before)], counts[1, : len(after)] = before, after
    shares = counts / counts.sum(axis=1, keepdims=True)
    order = np.lexsort((np.arange(shares.shape[1]), -shares.max(axis=0)))
    shown = order if len(order) <= _LABELS else order[: _LABELS - 1]
    rest = len(order) - len(shown)
    listed = [(*side[shown].tolist(), *([max(0.0, 1 - float(side[shown].sum()))] if rest else [])) for side in shares]
    named = (*(labels[code] for code in shown), *([f"{rest} others"] if rest else []))
    return Distribution(profile.name, profile.kind, listed[0], listed[1], named)
