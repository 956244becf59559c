from __future__ import annotations

import datetime as dt
import gzip
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_core.exceptions import PipelineError
from mlops_core.testing.stage_suite import StageSuite
from mlops_stage_tabular import mlops_stage
from mlops_stage_tabular.collect import CsvStage, ParquetStage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlops_core.testing.stage_context import RecordingContext

CSV = "when,month,code,temp,word\n2024-01-01T10:00:00Z,1,007,41,a\n2024-02-01T10:00:00Z,2,010,,NA\n2024-03-01T10:00:00Z,3,300,39.5,b\n"
TABLE = pa.table({"month": [1, 2, 3, None], "word": ["a", None, "b", "b"], "temp": [1.5, 2.5, None, 0.0]})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "plain.csv").write_text(CSV)
    (tmp_path / "data" / "twice.csv").write_text("a,b,a\n1,2,3\n")
    (tmp_path / "data" / "packed.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    pq.write_table(TABLE, tmp_path / "data" / "table.parquet")
    return tmp_path / "data"


class TestCsvStageConforms(StageSuite):
    def stage(self) -> CsvStage:
        return CsvStage(path="data.csv", filters=[["month", "<=", 2]])

    def inputs(self) -> Mapping[str, Any]:
        return {}

    def prepare(self, root: Path) -> None:
        (root / "data.csv").write_text(CSV)


class TestParquetStageConforms(StageSuite):
    def stage(self) -> ParquetStage:
        return ParquetStage(path="table.parquet", columns=["word"])

    def inputs(self) -> Mapping[str, Any]:
        return {}

    def prepare(self, root: Path) -> None:
        pq.write_table(TABLE, root / "table.parquet")


@pytest.mark.parametrize("name", ["csv", "parquet", "preprocess", "sklearn", "metrics"])
def test_the_hook_hands_over_a_class_without_loading_a_library(name: str) -> None:
    assert mlops_stage(name).contract == 1
    code = f"import sys, mlops_stage_tabular as m; m.mlops_stage({name!r}); print({{'pyarrow', 'sklearn', 'numpy'}} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


@pytest.mark.parametrize("path", ["data/plain.csv", "data/packed.csv.gz"])
def test_a_csv_file_becomes_a_typed_table(path: str, data: Path, context: RecordingContext) -> None:
    table = CsvStage(path=path).run(context)
    assert [str(kind) for kind in table.schema.types] == ["timestamp[s, tz=UTC]", "int64", "int64", "double", "string"]
    assert table["temp"].to_pylist() == [41.0, None, 39.5]
    assert table["word"].to_pylist() == ["a", None, "b"]
    assert context.measured == {"rows": 3.0}
    assert context.params == {"path": path.rpartition("/")[2]}


def test_types_missing_texts_and_the_delimiter_can_be_said(data: Path, context: RecordingContext) -> None:
    (data / "odd.csv").write_text("code;word\n007;a\n010;?\n")
    table = CsvStage(path="data/odd.csv", delimiter=";", missing=["?"], types={"code": "string"}).run(context)
    assert table.to_pydict() == {"code": ["007", "010"], "word": ["a", None]}


def test_an_absolute_path_is_taken_as_it_is(data: Path, context: RecordingContext) -> None:
    assert CsvStage(path=data / "plain.csv").run(context).num_rows == 3


@pytest.mark.parametrize(
    ("filters", "months"),
    [
        ([["month", "<=", 2]], [1, 2]),
        ([["month", ">", 1], ["month", "<", 3]], [2]),
        ([["month", "=", 2]], [2]),
        ([["month", "!=", 2]], [1, 3]),
        ([["month", ">=", 2.5]], [3]),
        ([["month", "in", [1, 3]]], [1, 3]),
        ([["month", "not in", [1]]], [2, 3]),
        ([["word", "=", "b"]], [3, None]),
        ([["word", "not in", ["a"]]], [3, None]),
    ],
)
def test_filters_keep_rows_for_which_all_are_true(filters: Any, months: list[Any], data: Path, context: RecordingContext) -> None:
    table = ParquetStage(path="data/table.parquet", filters=filters).run(context)
    assert table["month"].to_pylist() == months


def test_a_time_is_compared_with_its_text(data: Path, context: RecordingContext) -> None:
    table = CsvStage(path="data/plain.csv", filters=[["when", ">=", "2024-02-01T00:00:00Z"]]).run(context)
    assert table["month"].to_pylist() == [2, 3]
    assert table["when"][0].as_py() == dt.datetime(2024, 2, 1, 10, tzinfo=dt.UTC)


def test_columns_are_kept_in_the_order_asked_for(data: Path, context: RecordingContext) -> None:
    assert CsvStage(path="data/plain.csv", columns=["word", "month"]).run(context).column_names == ["word", "month"]
    table = ParquetStage(path="data/table.parquet", columns=["word"], filters=[["month", "=", 1]]).run(context)
    assert table.to_pydict() == {"word": ["a"]}


def test_a_folder_of_parquet_files_is_one_table(data: Path, context: RecordingContext) -> None:
    (data / "many").mkdir()
    pq.write_table(TABLE, data / "many" / "a.parquet")
    pq.write_table(TABLE, data / "many" / "b.parquet")
    assert ParquetStage(path="data/many").run(context).num_rows == 8


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (CsvStage(path="data/plian.csv"), "csv: path: no file data/plian.csv - did you mean 'plain.csv'?"),
        (CsvStage(path="date/plain.csv"), "csv: path: no file date/plain.csv - there is no folder date"),
        (CsvStage(path="data"), "csv: path: data cannot be read"),
        (ParquetStage(path="data/plain.csv"), "parquet: path: data/plain.csv cannot be read"),
        (CsvStage(path="data/plain.csv", columns=["tmep"]), "csv: columns: no column 'tmep' in the data - did you mean 'temp'?"),
        (CsvStage(path="data/plain.csv", filters=[["mnth", "=", 1]]), "csv: filters: no column 'mnth' in the data - did you mean 'month'?"),
        (CsvStage(path="data/plain.csv", filters=[["month", "=", "x"]]), "csv: filters: ['month', '=', 'x'] cannot be compared"),
        (CsvStage(path="data/plain.csv", filters=[[5, "=", 1]]), "csv: filters: no column 5 in the data - there are: when, month"),
        (CsvStage(path="data/plain.csv", filters=[["month", "=", 2**70]]), "cannot be compared"),
        (CsvStage(path="data/twice.csv"), "csv: path: data/twice.csv has several columns called 'a' - rename all but one"),
        (CsvStage(path="data/plain.csv", filters=[["when", ">", "yesterday"]]), "cannot be compared"),
        (CsvStage(path="data/plain.csv", filters=[["month", ">", 9]]), "csv: no row of data/plain.csv is left - look at 'filters'"),
        (CsvStage(path="data/plain.csv", types={"word": "int64"}), "csv: path: data/plain.csv cannot be read"),
        (CsvStage(path="data/plain.csv", types={"word": "integer"}), "csv: types: word: no type 'integer' - use one such as int64"),
        (
            ParquetStage(path="data/table.parquet", columns=["wrod"]),
            "parquet: columns: no column 'wrod' in the data - did you mean",
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_mistake_is_one_line_with_its_remedy(stage: Any, message: str, data: Path, context: RecordingContext) -> None:
    with pytest.raises(PipelineError) as caught:
        stage.run(context)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert context.measured == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": [["month", "==", 1]]}, "no operator '==' - did you mean '='?"),
        ({"filters": [["month", 5, 1]]}, "no operator 5 - there are: =, !="),
        ({"filters": ["month = 1"]}, "'month = 1' is no comparison - write one such as [month, '<=', 3]"),
        ({"filters": [["month", "="]]}, "is no comparison"),
        ({"filters": [5]}, "5 is no comparison"),
        ({"filters": [{"month": 1, "is": 2, "or": 3}]}, "is no comparison"),
        ({"filters": [["month", "in", 3]]}, "'in' takes a list - write [month, in, [3]]"),
        ({"filters": [["word", "not in", "ab"]]}, "'not in' takes a list - write [word, not in, [ab]]"),
        ({"delimiter": ";;"}, "';;' is not one character of ASCII - give one such as ';'"),
        ({"delimiter": "\n"}, "is not one character"),
        ({"delimiter": "\u00a6"}, "is not one character"),
    ],
)
def test_a_wrong_option_is_found_before_anything_runs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        CsvStage(path="data/plain.csv", **options)
