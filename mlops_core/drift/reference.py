"""What is kept of reference data, so that later checks need none of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from mlops_core.drift.archive import read_archive, write_archive
from mlops_core.drift.column import Column, problem
from mlops_core.drift.guard import calling, cause_of, name_list
from mlops_core.drift.privacy import Hashing, kept_columns
from mlops_core.drift.schema import Schema, configured_schema, declared_schema
from mlops_core.drift.selection import choose_tests, listed_tests, locate_stack
from mlops_core.drift.summary import summarise
from mlops_core.drift.table import Table, column_names, read_table
from mlops_core.exceptions import DriftDetectionError
from mlops_core.records import Record
from mlops_core.roles import DriftTest

if TYPE_CHECKING:
    import os
    from collections.abc import Container, Sequence

    from mlops_core.drift.column import Kind
    from mlops_core.stack import Stack

__all__ = ["TABLE", "ColumnProfile", "Reference", "complete_rows"]

TABLE: Final = "*"
"""Stands for the whole table where a column's name is expected."""

_Kind = TypeVar("_Kind", bound="Reference")
_WRITTEN: Final = frozenset({"datetime", "duration"})
_FEWEST: Final = 2


@frozen
class ColumnProfile(Record):
    """A column of the reference: its kind (see ``mlops_core.drift.column``), its missing values and its categories in order of code.

    ``declared``: somebody said that it is of this kind, so current values are read as such. ``hashed``: of categories only hashes are kept.
    """

    name: str
    kind: str
    missing: int = 0
    categories: tuple[str, ...] = ()
    declared: bool = False
    hashed: bool = False

    @property
    def test_kind(self) -> str:
        """What drift tests call it: ``numeric`` or ``categorical``."""
        return "categorical" if self.kind in {"boolean", "category"} else "numeric"


@frozen(eq=False)
class Reference:
    """A reference as the tests prepared it: plain arrays and the columns they come from.

    ``prepared`` holds the arrays of the test's ``dump`` for each test and column, ``*`` for the whole table, whose columns are ``table``;
    ``summaries`` tell of each column how its values lie (see ``mlops_core.drift.summary``); ``hashing`` is the mark of what hashed the
    names of categories.
    """

    rows: int
    named: bool
    columns: tuple[ColumnProfile, ...]
    tests: tuple[str, ...]
    prepared: Mapping[tuple[str, str], Mapping[str, NDArray[Any]]] = field(repr=False)
    table: tuple[str, ...] = ()
    summaries: Mapping[str, NDArray[Any]] = field(factory=dict, repr=False)
    hashing: str | None = None

    @property
    def schema(self) -> Schema:
        """How current data is read: as what was declared, and times as such where they are written as text, or durations as seconds."""
        kinds = {one.name: cast("Kind", one.kind) for one in self.columns if one.declared or one.kind in _WRITTEN}
        return Schema(kinds, tuple(one.name for one in self.columns))

    @classmethod
    def of(cls, table: Table, declared: Container[str] = ()) -> Self:
        """The columns of a table, prepared for no test; ``declared`` are those of a declared kind."""
        profiles = tuple(ColumnProfile(one.name, one.kind, one.missing, one.categories, one.name in declared) for one in table.columns)
        return cls(table.rows, table.named, profiles, (), {}, tuple(column.name for column in table.columns if column.is_numeric))

    @classmethod
    def fit(
        cls,
        data: Any,
        tests: Sequence[str] | Mapping[str, DriftTest] | str | None = None,
        *,
        columns: Sequence[str] | None = None,
        schema: Mapping[str, Kind] | None = None,
        keep: Sequence[str] | None = None,
        stack: Stack | None = None,
    ) -> Self:
        """Prepare reference data for the tests.

        Rows, which tests of the whole table need, and names of categories are kept of the columns in ``keep`` only; of the names of other
        columns hashes are kept (see ``mlops_core.drift.privacy``).

        Args:
            data: See ``DriftDetector.detect_data_drift``.
            tests: Names as the configuration writes them, or tests by name; None for those of the configuration.
            columns: Only these columns.
            schema: Kinds of columns that are not to be inferred; beside those that ``drift.schema`` declares.
            keep: Names of columns, ``*`` for all; None: ``drift.keep`` of the configuration, all where there is none.
            stack: Whose configuration counts, and where tests are found by name; None: the project's, where tests are named.

        Raises:
            DriftDetectionError: The data cannot be read, or no test takes any of its columns.
        """
        chosen, stack = _chosen(tests, stack)
        given = declared_schema(schema)
        kinds = {**configured_schema(stack).kinds, **given}
        wanted = column_names(columns)
        table = read_table("reference", data, wanted, Schema(kinds))
        table.select("reference", [name for name in given if wanted is None or name in wanted])  # a name that is none is told
        plain, table = _private(cls.of(table, kinds), table, kept_columns(keep, stack), stack)
        prepared = {(name, column): arrays for name, test in chosen.items() for column, arrays in _prepare(name, test, table, plain.table)}
        if not prepared:
            told = ", ".join(f"{column.name!r} is {column.test_kind}" for column in plain.columns[:3])
            raise DriftDetectionError(f"drift: none of the tests ({', '.join(chosen)}) takes any column ({told}) - add one that does")
        summaries = {column.name: summarise(column) for column in table.columns}
        return evolve(plain, tests=tuple(chosen), prepared=prepared, summaries=summaries)

    def select(self, columns: Sequence[str]) -> Self:
        """Only these columns; tests of the whole table are left out unless all of its columns are kept.

        Raises:
            DriftDetectionError: One of them is not there, or they are no names.
        """
        names = name_list(columns)
        if not names:
            raise DriftDetectionError(f"drift: columns: expected names, got {columns!r:.60} - name at least one")
        found = {column.name: column for column in self.columns}
        for name in names:
            if name not in found:
                raise problem("reference", name, f"is not there (there are: {', '.join(list(found)[:10])}) - name existing columns")
        kept = {*names, TABLE} if set(self.table) <= set(names) else set(names)
        prepared = {key: arrays for key, arrays in self.prepared.items() if key[1] in kept}
        return evolve(self, columns=tuple(found[name] for name in names), prepared=prepared)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to one file, without pickle; an existing file is replaced at once or not at all.

        Raises:
            DriftDetectionError: It cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = {f"s{place}": summary for place, summary in enumerate(self.summaries.values())}
        entries = []
        for (test, column), named in self.prepared.items():
            keys = {name: f"a{len(arrays) + place}" for place, name in enumerate(named)}
            arrays.update((keys[name], array) for name, array in named.items())
            entries.append({"test": test, "column": column, "arrays": keys})
        manifest = {
            "rows": self.rows,
            "named": self.named,
            "columns": [column.to_dict() for column in self.columns],
            "tests": list(self.tests),
            "table": list(self.table),
            "prepared": entries,
            "summaries": list(self.summaries),
            "hashing": self.hashing,
        }
        write_archive(path, manifest, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what ``save`` wrote.

        Raises:
            DriftDetectionError: It cannot be read, is damaged, or was written by a newer release.
        """
        manifest, arrays = read_archive(path)
        try:
            return cls(
                rows=int(manifest["rows"]),
                named=bool(manifest["named"]),
                columns=tuple(ColumnProfile.from_dict(column) for column in manifest["columns"]),
                tests=tuple(manifest["tests"]),
                prepared={
                    (one["test"], one["column"]): {name: arrays[key] for name, key in one["arrays"].items()} for one in manifest["prepared"]
                },
                table=tuple(manifest["table"]),
                summaries={name: arrays[f"s{place}"] for place, name in enumerate(manifest["summaries"])},
                hashing=manifest.get("hashing"),
            )
        except (KeyError, TypeError, ValueError) as error:
            told = f"{cause_of(error)} - give a file that Reference.save wrote"
            raise DriftDetectionError(f"drift: reference {Path(path).name}: cannot be read: {told}") from error


def complete_rows(side: str, columns: Sequence[Column]) -> NDArray[np.float64]:
    """Numeric columns side by side, (rows, columns), without the rows in which one is missing.

    Raises:
        DriftDetectionError: Fewer than two rows are left.
    """
    values: NDArray[np.float64] = np.stack([column.data for column in columns]).T
    whole = values[~np.isnan(values).any(axis=1)] if any(column.missing for column in columns) else values
    if len(whole) < _FEWEST:
        raise DriftDetectionError(f"drift: {side} data: {len(whole)} rows have a value in every column, tests of the table need {_FEWEST}")
    return whole


def _chosen(tests: Any, stack: Stack | None) -> tuple[Mapping[str, DriftTest], Stack | None]:
    """Tests that the caller made, or those of the names, with the stack where they were found."""
    if not isinstance(tests, Mapping):
        found = locate_stack(None, stack)
        return choose_tests(found, listed_tests(tests)), found
    for name, test in tests.items():
        if not isinstance(test, DriftTest):
            raise DriftDetectionError(f"drift: test {name!r}: {test!r:.40} is no drift test - give an instance of one, or its name")
    return tests, stack


def _private(plain: _Kind, table: Table, kept: frozenset[str] | None, stack: Stack | None) -> tuple[_Kind, Table]:
    """Both without what may not be stored; ``kept`` None: everything may."""
    if kept is None or stack is None:
        return plain, table
    hidden = {one.name for one in plain.columns if one.kind == "category" and one.name not in kept}
    hashing = Hashing.of(stack)
    table = evolve(table, columns=tuple(hashing.column(one) if one.name in hidden else one for one in table.columns))
    columns = tuple(
        evolve(profile, categories=column.categories, hashed=profile.name in hidden)
        for profile, column in zip(plain.columns, table.columns, strict=True)
    )
    rows = tuple(name for name in plain.table if name in kept)
    return evolve(plain, columns=columns, table=rows, hashing=hashing.mark if hidden else None), table


def _prepare(name: str, test: DriftTest, table: Table, whole: Sequence[str]) -> Sequence[tuple[str, Mapping[str, NDArray[Any]]]]:
    if test.scope == "table":
        if not whole and any(column.is_numeric for column in table.columns):
            told = "keeps rows of the reference, and drift.keep names no numeric column - add those to test, '*' for all"
            raise DriftDetectionError(f"drift: test {name!r} {told}, or leave the test out")
        samples = [(TABLE, complete_rows("reference", [column for column in table.columns if column.name in whole]))] if whole else []
    else:
        kinds = {column.name: "numeric" if column.is_numeric else "categorical" for column in table.columns}
        samples = [(column.name, column.present()) for column in table.columns if kinds[column.name] in test.kinds]
    found = []
    for column, values in samples:
        with calling(name, column):
            found.append((column, dict(test.dump(test.prepare(values)))))
    return found
