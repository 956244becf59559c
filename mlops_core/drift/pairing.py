"""Current data put beside a reference: which columns and categories both have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from attrs import evolve, field, frozen

from mlops_core.drift.column import MISSING_CODE, Column, problem
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.drift.column import Kind
    from mlops_core.drift.privacy import Hashing
    from mlops_core.drift.reference import ColumnProfile, Reference
    from mlops_core.drift.table import Table

__all__ = ["Pairing", "pair"]


@frozen(eq=False)
class Pairing:
    """Columns that both sides have, in the reference's order and with its codes of categories, and how the sides differ."""

    columns: Mapping[str, Column]
    rows: int
    new_columns: tuple[str, ...] = ()
    missing_columns: tuple[str, ...] = ()
    new_categories: Mapping[str, tuple[str, ...]] = field(factory=dict)
    missing_categories: Mapping[str, tuple[str, ...]] = field(factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """The reference's categories as they can be told: of hashed ones the names of those that the current data has."""


def pair(reference: Reference, current: Table, hashing: Hashing | None = None) -> Pairing:
    """Find each column of the reference in the current data: by name, or by position where one side has no names.

    ``hashing`` is the one of the reference, if any of its columns is hashed.

    Raises:
        DriftDetectionError: There is none, their numbers differ where only positions are known, or a column is of another kind.
    """
    profiles = {column.name: column for column in reference.columns}
    if reference.named and current.named:
        found = {column.name: column for column in current.columns}
    elif len(profiles) == len(current.columns):
        found = dict(zip(profiles, current.columns, strict=True))
    else:
        raise _unequal(list(profiles), [column.name for column in current.columns])
    common = {name: _same_kind(profile, found[name]) for name, profile in profiles.items() if name in found}
    if not common:
        named = f"{next(iter(profiles))!r}", f"{next(iter(found))!r}"
        raise DriftDetectionError(f"drift: the sides have no column in common (such as {' and '.join(named)}) - give the same columns")
    recoded = {name: _recode(profiles[name], column, hashing) for name, column in common.items()}
    return Pairing(
        {name: one.column for name, one in recoded.items()},
        current.rows,
        tuple(name for name in found if name not in profiles),
        tuple(name for name in profiles if name not in found),
        {name: one.new for name, one in recoded.items() if one.new},
        {name: one.lost for name, one in recoded.items() if one.lost},
        {name: one.labels for name, one in recoded.items()},
    )


def _unequal(reference: Sequence[str], current: Sequence[str]) -> DriftDetectionError:
    more, side = (reference, "reference") if len(reference) > len(current) else (current, "current")
    first = more[min(len(reference), len(current))]
    counts = f"the reference has {len(reference)} columns, the current data {len(current)}"
    return DriftDetectionError(f"drift: {counts}, so {first!r} is in the {side} data only - give the same columns, or named ones")


def _same_kind(profile: ColumnProfile, column: Column) -> Column:
    if column.missing == len(column.data):  # nothing tells its kind
        data = np.full(len(column.data), np.nan) if profile.test_kind == "numeric" else np.full(len(column.data), MISSING_CODE)
        return evolve(column, name=profile.name, kind=cast("Kind", profile.kind), data=data, categories=())
    if profile.kind != column.kind:
        sample = f", such as {column.categories[0][:30]!r}" if column.kind == "category" else ""
        told = f"where the reference's are of kind {profile.kind} - convert one of them"
        holds = f"holds values of kind {column.kind}"
        raise problem("current", profile.name, f"{holds}{sample}, {told}", discreet=f"{holds}, {told}")
    return evolve(column, name=profile.name)


class _Recoded(NamedTuple):
    """A column with the reference's codes, new categories behind them; with the names of those that are new, that are gone, and of all."""

    column: Column
    new: tuple[str, ...]
    lost: tuple[str, ...]
    labels: tuple[str, ...]


def _recode(profile: ColumnProfile, column: Column, hashing: Hashing | None) -> _Recoded:
    if profile.test_kind == "numeric" or profile.kind == "boolean":
        return _Recoded(column, (), (), profile.categories)
    kept = hashing.names(column.categories) if hashing is not None and profile.hashed else column.categories
    seen = dict(zip(kept, column.categories, strict=True))
    place = {label: code for code, label in enumerate(profile.categories)}
    new = {label: name for label, name in seen.items() if label not in place}
    place |= {label: len(profile.categories) + offset for offset, label in enumerate(new)}
    codes = np.array([*(place[label] for label in kept), MISSING_CODE], dtype=np.int64)
    lost = tuple(label for label in profile.categories if label not in seen)
    labels = tuple(seen.get(label, label) for label in profile.categories)
    return _Recoded(
        evolve(column, data=codes[column.data]), tuple(new.values()), lost, labels
    )  # -1, of a missing value, finds the last code
