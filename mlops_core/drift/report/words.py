"""What a check found, in words."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.drift.results import ColumnOutcome, DataDrift, Distribution

__all__ = ["Finding", "change", "figure", "findings", "level", "remarks", "share", "verdict", "whole_table"]

_YEAR: Final = 365.2425 * 86400e6  # microseconds
_SECONDS: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
_LOW, _QUARTER, _MEDIAN, _UPPER, _HIGH = range(5)  # of the quantiles
_MOVES: Final = 3  # categories that are told
_SMALLEST_MOVE: Final = 0.01
_LISTED: Final = 8
_LARGE, _SMALL = 1e6, 1e-3
_FLOOR: Final = 1e-300
_WIDER, _NARROWER = 1.25, 0.8


class Finding(NamedTuple):
    """All that is known of one column; ``column`` is ``*`` for the whole table."""

    column: str
    outcomes: tuple[ColumnOutcome, ...]
    distribution: Distribution | None

    @property
    def drifted(self) -> bool:
        """Whether any of its outcomes did."""
        return any(one.drifted for one in self.outcomes)

    @property
    def p_value(self) -> float:
        """The smallest adjusted one."""
        return min(one.adjusted_p_value for one in self.outcomes)


def findings(drift: DataDrift) -> list[Finding]:
    """By column: those that drifted first, then the smaller p-value, then the larger effect."""
    distributions = {one.column: one for one in drift.distributions}
    names = dict.fromkeys(one.column for one in drift.outcomes)
    found = [Finding(name, drift.of(name), distributions.get(name)) for name in names]
    return sorted(found, key=lambda one: (not one.drifted, one.p_value, -max(outcome.effect_size for outcome in one.outcomes)))


def whole_table(column: str) -> str:
    """A column's name, or that it is all of them."""
    return "the table as a whole" if column == "*" else column


def verdict(drift: DataDrift) -> str:
    """One sentence."""
    tested = len(drift.outcomes)
    rows = f"{drift.reference_rows:,} reference and {drift.current_rows:,} current rows"
    compared = f"{tested} comparison{'s' if tested > 1 else ''} of {rows}"
    names = [whole_table(name) for name in drift.drifted_columns]
    if not drift.drift_detected:
        return f"No drift in {compared}; smallest adjusted p-value {level(drift.p_value)}, threshold {drift.threshold:g}."
    told = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    return f"Drift in {told}; {compared}, smallest adjusted p-value {level(drift.p_value)}, threshold {drift.threshold:g}."


def remarks(drift: DataDrift) -> list[str]:
    """What could not be compared, or is on one side only."""
    told = [
        _listed("Columns in the current data only", drift.new_columns),
        _listed("Columns in the reference only", drift.missing_columns),
        _listed("Columns that no test takes", drift.untested_columns),
        *(_listed(f"New categories of {name}", labels) for name, labels in drift.new_categories.items()),
        *(_listed(f"Categories of {name} that no longer occur", labels) for name, labels in drift.missing_categories.items()),
    ]
    return [one for one in told if one]


def _listed(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{what}: {', '.join(names[:_LISTED])}{more}." if names else ""


def change(found: Finding) -> str:
    """How the values of a column moved, in a sentence or two; empty where nothing is known."""
    one = found.distribution
    told: list[str] = []
    if one is not None and one.labels:
        told.extend(_categories_moved(one))
    elif one is not None:
        told.extend(_numbers_moved(one))
    before, after = found.outcomes[0].reference_missing, found.outcomes[0].current_missing
    if before != after and any(outcome.test == "missing" for outcome in found.outcomes):
        told.append(f"missing values {share(before)} → {share(after)}")
    sentence = "; ".join(told)
    return f"{sentence[:1].upper()}{sentence[1:]}." if told else ""


def _numbers_moved(one: Distribution) -> Iterator[str]:
    before, after = one.reference_quantiles, one.current_quantiles
    middle = before[_MEDIAN], after[_MEDIAN]
    what = "median length in characters" if one.kind == "text" else "median"
    yield f"{what} " + (" → ".join(figure(value, one.kind) for value in middle) if middle[0] != middle[1] else "unchanged")
    spread = before[_UPPER] - before[_QUARTER], after[_UPPER] - after[_QUARTER]
    unit = "duration" if one.kind == "duration" else "datetime spread" if one.kind == "datetime" else one.kind
    if spread[0] > 0 and not _NARROWER < spread[1] / spread[0] < _WIDER:
        word = "wider" if spread[1] > spread[0] else "narrower"
        yield f"spread (interquartile range) {word}, {figure(spread[0], unit)} → {figure(spread[1], unit)}"
    ends = [f"{figure(low, one.kind)} to {figure(high, one.kind)}" for low, high in ((q[_LOW], q[_HIGH]) for q in (before, after))]
    if ends[0] != ends[1]:
        yield f"the middle 90 % was {ends[0]}, is {ends[1]}"


def _categories_moved(one: Distribution) -> Iterator[str]:
    moves = sorted(zip(one.labels, one.reference, one.current, strict=True), key=lambda move: -abs(move[2] - move[1]))
    told = [move for move in moves[:_MOVES] if abs(move[2] - move[1]) >= _SMALLEST_MOVE]
    for place, (label, before, after) in enumerate(told):
        yield f"{'' if place else 'share of '}{label} {share(before)} → {share(after)}"


def figure(value: float, kind: str = "number") -> str:
    """A value of a column of this kind, as short as tells it: a date, a length of time, three digits."""
    if kind == "datetime":
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
        except OverflowError:  # beside a date such as 9999-12-31, which stands for "never"
            return f"year {1970 + value / _YEAR:.0f}"
        return moment.strftime("%Y-%m-%d" if not (moment.hour or moment.minute or moment.second) else "%Y-%m-%d %H:%M")
    if kind in {"duration", "datetime spread"}:
        seconds = value if kind == "duration" else value / 1e6
        size, unit = next(((size, unit) for size, unit in _SECONDS if abs(seconds) >= size), _SECONDS[-1])
        return f"{seconds / size:.3g} {unit}" if seconds else "0 s"
    if value == round(value) and abs(value) < _LARGE:
        return f"{value:,.0f}"
    if value and not _SMALL <= abs(value) < _LARGE:
        return f"{value:.2e}"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{digits}f}"


def share(value: float) -> str:
    """Per cent."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent == round(percent) or percent >= 10 else f"{percent:.1f} %"  # noqa: PLR2004  two digits are enough


def level(value: float) -> str:
    """A p-value."""
    if value < _FLOOR:
        return f"< {_FLOOR:.0e}"
    return f"{value:.2g}" if value >= _SMALL / 10 else f"{value:.0e}"
