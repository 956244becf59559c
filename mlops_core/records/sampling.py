"""A uniform sample of predictions, kept in segments: each prediction has a place in [0, 1), and those below a share are kept.

The place is a hash of the prediction's id, so that every process decides alike and nothing is counted twice. A kept row names the share it
was kept by. Rows of many segments, kept by several shares, are a uniform sample once those above the smallest share are left out (bottom-k
sampling, Cohen & Kaplan 2007).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["MOST_ROWS", "place_of", "places", "seed_of", "uniform"]

MOST_ROWS: Final = 10_000
"""How many rows a merged segment carries at most."""

_FEW: Final = 64
_BITS: Final = 64
_MASK: Final = (1 << _BITS) - 1
_STEP: Final = 0x9E3779B97F4A7C15
_MIX: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_EVERY: Final = 1.0


def seed_of(prediction_id: str) -> int:
    """Where the places of a prediction's rows begin: 64 bits."""
    return int.from_bytes(blake2b(prediction_id.encode(errors="surrogatepass"), digest_size=_BITS // 8).digest(), "little")


def place_of(seed: int, row: int = 0) -> float:
    """The place of one row, in [0, 1): SplitMix64 (Steele, Lea & Flood 2014), from its seed."""
    mixed = (seed + row * _STEP) & _MASK
    for shift, factor in _MIX:
        mixed = ((mixed ^ (mixed >> shift)) * factor) & _MASK
    return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)


def places(seed: int, rows: int) -> Sequence[float]:
    """The places of the first rows."""
    if rows <= _FEW:
        return [place_of(seed, row) for row in range(rows)]
    import numpy as np

    mixed = np.uint64(seed) + np.arange(rows, dtype=np.uint64) * np.uint64(_STEP)
    for shift, factor in _MIX:
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    found: Sequence[float] = (((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) / (1 << 53)).tolist()
    return found


def uniform(rows: Iterable[Mapping[str, Any]], most: int | None = None) -> tuple[Mapping[str, Any], ...]:
    """The rows that are a uniform sample together, in their order; with ``most`` those of the lowest places, and their share.

    A row has ``prediction_id``, ``row`` (its number in the request, 0 by default) and ``share`` (1 by default).
    """
    found = list(rows)
    share = min((one.get("share", _EVERY) for one in found), default=_EVERY)
    if share < _EVERY:
        found = [one for one in found if _place(one) < share]
    if most is None or len(found) <= most:
        return tuple(found)
    limit = sorted(map(_place, found))[most]
    return tuple({**one, "share": limit} for one in found if _place(one) < limit)


def _place(row: Mapping[str, Any]) -> float:
    return place_of(seed_of(str(row.get("prediction_id", ""))), row.get("row", 0))
