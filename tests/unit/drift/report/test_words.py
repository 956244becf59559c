"""Words: short figures, the largest changes, the first columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from mlops_core.drift.report.words import change, figure, findings, level, remarks, share, verdict

if TYPE_CHECKING:
    from mlops_core.drift import DataDrift


def test_columns_come_by_their_evidence(drift: DataDrift) -> None:
    found = findings(drift)
    assert [one.drifted for one in found] == sorted((one.drifted for one in found), reverse=True)
    assert {one.column for one in found if one.drifted} == set(drift.drifted_columns)


def test_changes_are_told_by_kind(drift: DataDrift) -> None:
    told = {one.column: change(one) for one in findings(drift)}
    assert told["delay"].startswith("Median 9.60 → 17.5; ")
    assert "spread (interquartile range) wider" in told["delay"]
    assert told["carrier"].startswith("Share of B6 0 % → ")
    assert "missing values" in told["temperature"]
    assert told["same"] == "Median unchanged."


def test_many_columns_are_cut(drift: DataDrift) -> None:
    (one, *_) = drift.outcomes
    many = evolve(drift, outcomes=tuple(evolve(one, column=f"c{number}", drifted=True) for number in range(12)))
    assert "c7 and 4 more; 12 comparisons" in verdict(many)
    assert (
        remarks(evolve(drift, new_columns=tuple("abcdefghij")))[0] == "Columns in the current data only: a, b, c, d, e, f, g, h and 2 more."
    )


def test_levels_and_shares_are_short() -> None:
    assert [level(value) for value in (0.0312, 0.00012, 1.2e-9, 1e-305)] == ["0.031", "0.00012", "1e-09", "< 1e-300"]
    assert [share(value) for value in (0, 0.5, 0.012, 0.255)] == ["0 %", "50 %", "1.2 %", "26 %"]


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        (12.0, "number", "12"),
        (123456.0, "number", "123,456"),
        (12.345, "number", "12.3"),
        (0.01234, "number", "0.0123"),
        (1.5e-7, "number", "1.50e-07"),
        (1.5e9, "number", "1.50e+09"),
        (0.0, "number", "0"),
        (-2.5, "number", "-2.50"),
        (0.0, "datetime", "1970-01-01"),
        (3.6e9, "datetime", "1970-01-01 01:00"),
        (3e17, "datetime", "year 11477"),
        (5400.0, "duration", "1.5 h"),
        (0.0, "duration", "0 s"),
        (0.25, "duration", "250 ms"),
    ],
)
def test_figures_are_short(value: float, kind: str, told: str) -> None:
    assert figure(value, kind) == told
