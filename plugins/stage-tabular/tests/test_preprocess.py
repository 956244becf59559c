from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import PipelineError
from mlops_core.testing.stage_context import RecordingContext
from mlops_core.testing.stage_suite import StageSuite
from mlops_stage_tabular.preprocess import PreprocessStage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLE = pa.table(
    {
        "departure": [dt.datetime(2024, 3, 4, 17, 5, tzinfo=dt.UTC), dt.datetime(2024, 12, 29, tzinfo=dt.UTC), None],
        "delay": [20, None, 15],
        "code": [7, 8, 9],
        "word": ["a", "b", None],
        "day": [dt.date(2024, 3, 4)] * 3,
        "many": [[1], [2], [3]],
    }
)


class TestPreprocessStageConforms(StageSuite):
    def stage(self) -> PreprocessStage:
        return PreprocessStage(derive={"late": ["delay", ">", 15]}, required=["late"])

    def inputs(self) -> Mapping[str, Any]:
        return {"data_collection": TABLE}


def run(context: RecordingContext, table: Any = TABLE, **options: Any) -> pa.Table:
    return PreprocessStage(**options).run(context, table)


def test_a_flag_is_derived_and_stays_missing_where_its_column_is(context: RecordingContext) -> None:
    table = run(context, derive={"late": ["delay", ">", 15], "known": ["word", "in", ["a"]]})
    assert table["late"].to_pylist() == [1, None, 0]
    assert table["known"].to_pylist() == [1, 0, None]
    assert table.column_names == [*TABLE.column_names, "late", "known"]


def test_a_real_that_is_no_number_is_a_missing_value(context: RecordingContext) -> None:
    table = pl.DataFrame({"x": [1.5, float("nan"), 20.0, None]})
    assert run(context, table, derive={"late": ["x", ">", 15]})["late"].to_pylist() == [0, None, 1, None]
    assert run(context, table, required=["x"])["x"].to_pylist() == [1.5, 20.0]
    assert run(context, table, filters=[["x", "!=", 1.5]])["x"].to_pylist() == [20.0]


def test_categories_and_decimals_are_compared_by_their_values(context: RecordingContext) -> None:
    table = pa.table({"word": TABLE["word"].dictionary_encode(), "cost": pa.array([decimal.Decimal("1.5"), None, decimal.Decimal(2)])})
    found = run(context, table, derive={"known": ["word", "in", ["a"]], "dear": ["cost", ">", 1.5], "cheap": ["cost", "<", 2]})
    assert [found[name].to_pylist() for name in ("known", "dear", "cheap")] == [[1, 0, None], [0, None, 1], [1, None, 0]]


@given(values=st.lists(st.none() | st.integers(-50, 50), min_size=1, max_size=40), limit=st.integers(-50, 50))
def test_a_flag_is_the_comparison_of_its_row(values: list[int | None], limit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    context = RecordingContext(root=tmp_path_factory.getbasetemp())
    table = run(context, pa.table({"x": pa.array(values, pa.int64())}), derive={"flag": ["x", "<=", limit]})
    assert table["flag"].to_pylist() == [None if value is None else int(value <= limit) for value in values]


def test_rows_keep_their_order_when_a_flag_is_derived_of_many_chunks(context: RecordingContext) -> None:
    table = pa.concat_tables([pa.table({"x": range(i * 1000, (i + 1) * 1000)}) for i in range(50)])
    derived = run(context, table, derive={"flag": ["x", ">=", 25_000]})
    assert derived["flag"].to_pylist() == [int(value >= 25_000) for value in range(50_000)]


def test_parts_of_a_time_become_columns(context: RecordingContext) -> None:
    table = run(context, parts={"departure": ["month", "weekday", "hour", "day_of_year", "week"]})
    assert [table[f"departure_{part}"][0].as_py() for part in ("month", "weekday", "hour", "day_of_year", "week")] == [3, 0, 17, 64, 10]
    assert table["departure_month"][2].as_py() is None


def test_rows_and_columns_are_dropped_and_counted(context: RecordingContext) -> None:
    table = run(context, required=["delay"], filters=[["code", "<", 9]], select=["word", "code", "delay"], drop=["delay"])
    assert table.to_pydict() == {"word": ["a"], "code": [7]}
    assert context.measured == {"rows": 1.0, "rows_dropped": 2.0}


def test_codes_can_be_taken_as_text(context: RecordingContext) -> None:
    assert run(context, text=["code"])["code"].to_pylist() == ["7", "8", "9"]


@pytest.mark.parametrize("frames", [pd, pl], ids=["pandas", "polars"])
def test_frames_are_taken_as_tables(frames: Any, context: RecordingContext) -> None:
    assert run(context, frames.DataFrame({"x": [1, 2]}), filters=[["x", ">", 1]]).to_pydict() == {"x": [2]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"derive": {"late": ["dealy", ">", 1]}}, "preprocess: derive: no column 'dealy' in the data - did you mean 'delay'?"),
        ({"derive": {"late": ["word", ">", 1]}}, "preprocess: derive: ['word', '>', 1] cannot be compared"),
        ({"derive": {"word": ["delay", ">", 1]}}, "preprocess: column 'word' is in the data already"),
        ({"parts": {"word": ["month"]}}, "preprocess: parts: column 'word' is string, no time"),
        ({"parts": {"day": ["month", "hour"]}}, "preprocess: parts: column 'day' is date32[day], which has no hour"),
        ({"text": ["many"]}, "preprocess: text: column 'many' cannot be taken as text: Unsupported cast"),
        ({"select": ["code", "code"]}, "preprocess: select: 'code' is named twice"),
        ({"drop": TABLE.column_names}, "preprocess: drop: no column is left"),
        ({"required": ["lat"]}, "preprocess: required: no column 'lat'"),
        ({"text": ["cod"]}, "preprocess: text: no column 'cod' in the data - did you mean 'code'?"),
        ({"select": ["wrd"]}, "preprocess: select: no column 'wrd' in the data - did you mean 'word'?"),
        ({"drop": ["wrd"]}, "preprocess: drop: no column 'wrd' in the data"),
        ({"filters": [["code", ">", 99]]}, "preprocess: no row is left - look at 'filters' and 'required'"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_mistake_is_one_line_with_its_remedy(options: dict[str, Any], message: str, context: RecordingContext) -> None:
    with pytest.raises(PipelineError) as caught:
        run(context, **options)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("value", [[1, 2], {"a": [1]}, "text", None], ids=str)
def test_what_is_no_table_is_refused(value: Any, context: RecordingContext, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no table - give a pyarrow table or a frame"):
        run(context, value)


def test_a_table_without_rows_is_refused(context: RecordingContext) -> None:
    with pytest.raises(PipelineError, match="data_collection has no rows"):
        run(context, TABLE.slice(0, 0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": {"departure": ["mnth"]}}, "no part 'mnth' of a time - did you mean 'month'"),
        ({"derive": {"late": ["delay", ">"]}}, "is no comparison - write one such as"),
        ({"derive": {"late": ["delay", "over", 3]}}, "no operator 'over'"),
        ({"filters": [["delay", "in", 3]]}, "'in' takes a list"),
    ],
)
def test_a_wrong_option_is_found_before_anything_runs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PreprocessStage(**options)
