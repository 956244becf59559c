"""Which predictions are sampled, and what is kept of them."""

from __future__ import annotations

import math
import threading
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from mlops_core.records.sampling import places, seed_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EVERY", "UNKNOWN", "Reservoir", "Sampling", "plain"]

EVERY: Final = "*"
"""Stands for every column."""

UNKNOWN: Final = object()
_MOST_FAILURES: Final = 10
_MOST: Final = 4096  # rows of a series between two drains
_LONGEST_TEXT: Final = 1000


@frozen
class Sampling:
    """``monitoring.sample``: the columns that are kept, and the share of the predictions; of ``texts`` only the length is kept."""

    columns: frozenset[str]
    rate: float
    texts: frozenset[str] = frozenset()

    def wants(self, prediction_id: str, rows: int = 1) -> bool:
        """Whether any row of a prediction is sampled."""
        return any(place < self.rate for place in places(seed_of(prediction_id), rows))

    def chosen(self, prediction_id: str, rows: int) -> list[tuple[int, float]]:
        """The rows that are sampled, with their places."""
        return [(row, place) for row, place in enumerate(places(seed_of(prediction_id), rows)) if place < self.rate]

    def kept(self, columns: Mapping[str, Any], row: int) -> dict[str, Any]:
        """One row of the columns that may be kept, as plain JSON values; what is none, such as an array, is left out."""
        named = columns if EVERY in self.columns else {name: columns[name] for name in columns if name in self.columns}
        found = {str(name): plain(values[row], text=name in self.texts) for name, values in named.items()}
        return {name: value for name, value in found.items() if value is not UNKNOWN}


@define(eq=False)
class Reservoir:
    """Sampled rows of a series between two drains, in bounded memory. Safe from many threads."""

    sampling: Sampling
    _rows: list[tuple[float, dict[str, Any]]] = field(factory=list, init=False, repr=False)
    _share: float = field(default=0.0, init=False)
    _dropped: int = field(default=0, init=False)
    _failures: list[dict[str, Any]] = field(factory=list, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._share = self.sampling.rate

    def add(self, prediction_id: str, features: Mapping[str, Any], output: Mapping[str, Any]) -> None:
        """Keep what is sampled of a prediction: arrays by column, as many rows in each."""
        rows = len(next(iter(features.values()), ()))
        outputs = output if all(len(values) == rows for values in output.values()) else {}
        chosen = self.sampling.chosen(prediction_id, rows)
        places = [place for _, place in chosen if place < self._share]
        limit = sorted(places)[_MOST // 2] if len(places) > _MOST else self._share
        made = [(place, self._row(prediction_id, features, outputs, row)) for row, place in chosen if place < limit]
        told = [one for one in made if one[1]["features"] or "output" in one[1]]  # of what has no named column nothing is kept
        with self._lock:
            self._dropped += len(chosen) - len(made)
            if limit < self._share:
                self._share = limit
                self._rows = self._below(self._rows)
            self._rows += self._below(told)
            if len(self._rows) > _MOST:
                self._cut()

    def fail(self, prediction_id: str, features: Mapping[str, Any], error: str, at: datetime) -> None:
        """Keep the first row of a prediction that failed, if there are few; no statistic takes it, since failures are no uniform sample."""
        if len(self._failures) < _MOST_FAILURES and all(len(values) for values in features.values()):
            row = {"prediction_id": prediction_id, "error": error, "at": at.isoformat(), "features": self.sampling.kept(features, 0)}
            with self._lock:
                self._failures.append(row)

    def drain_failures(self) -> tuple[Mapping[str, Any], ...]:
        """Take some of the failures since the last drain."""
        with self._lock:
            failures, self._failures = self._failures[:_MOST_FAILURES], []
        return tuple(failures)

    def _below(self, rows: list[tuple[float, dict[str, Any]]]) -> list[tuple[float, dict[str, Any]]]:
        """Rows below the share, which another thread may have lowered meanwhile; the others are counted as dropped."""
        kept = [one for one in rows if one[0] < self._share]
        self._dropped += len(rows) - len(kept)
        return kept

    def _row(self, prediction_id: str, features: Mapping[str, Any], output: Mapping[str, Any], row: int) -> dict[str, Any]:
        answered = self.sampling.kept(output, row)
        kept = {"prediction_id": prediction_id, "features": self.sampling.kept(features, row)}
        return kept | ({"row": row} if row else {}) | ({"output": answered} if answered else {})

    def _cut(self) -> None:
        """Halve the rows: those of the highest places go, and none of such a place is taken before the next drain."""
        self._rows.sort(key=lambda one: one[0])
        self._share = self._rows[_MOST // 2][0]
        self._dropped += len(self._rows) - _MOST // 2
        del self._rows[_MOST // 2 :]

    def drain(self) -> tuple[tuple[Mapping[str, Any], ...], int]:
        """Take the rows, each with the share that it was kept by, and how many the bound on memory has cost."""
        with self._lock:
            rows, share, dropped = self._rows, self._share, self._dropped
            self._rows, self._share, self._dropped = [], self.sampling.rate, 0
        return tuple({**row, "share": share} for _, row in rows), dropped

    def reset(self) -> None:
        """Forget everything: for a forked child."""
        self._lock = threading.Lock()
        self._rows, self._share, self._dropped, self._failures = [], self.sampling.rate, 0, []


def plain(value: Any, *, text: bool = False) -> Any:
    """A JSON value, ``UNKNOWN`` of what is none; numbers and times that are none are missing; of ``text`` the length."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # a scalar of numpy; times finer than microseconds would be numbers
        value = (value.astype(f"{value.dtype.kind}8[us]") if value.dtype.kind in "mM" else value).item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return len(value) if text else value[:_LONGEST_TEXT]
    if isinstance(value, datetime | date):
        return value.isoformat() if value == value else None  # noqa: PLR0124  only the NaT of pandas differs from itself
    return value.total_seconds() if isinstance(value, timedelta) else UNKNOWN
