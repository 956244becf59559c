"""Figures and tables as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from mlops_core.exceptions import ExperimentError
from mlops_core.tracking.objects import figure_writer, table_writer

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class Plotly:
    """Draws itself as plotly's figures do."""

    def write_image(self, path: str) -> None:
        self.wrote = path

    write_html = write_image


@pytest.fixture
def figure() -> Figure:
    drawn = Figure()
    drawn.add_subplot().plot([1, 2])
    return drawn


def test_a_figure_is_drawn_as_its_name_says(tmp_path: Path, figure: Figure) -> None:
    figure_writer("deep/roc.PNG", figure)(tmp_path / "roc.PNG")
    assert imread(tmp_path / "roc.PNG").ndim == 3
    figure_writer("roc.svg", figure)(tmp_path / "roc.svg")
    assert "<svg" in (tmp_path / "roc.svg").read_text()


@pytest.mark.parametrize("name", ["a.png", "a.html"])
def test_plotly_draws_pictures_and_pages(tmp_path: Path, name: str) -> None:
    drawn = Plotly()
    figure_writer(name, drawn)(tmp_path / name)
    assert drawn.wrote == str(tmp_path / name)


def test_what_cannot_be_drawn_is_one_line(figure: Figure) -> None:
    with pytest.raises(ExperimentError, match=r"^tracker: artifact 'a\.png': a dict is no figure - give one of matplotlib or plotly$"):
        figure_writer("a.png", {})
    with pytest.raises(ExperimentError, match=r"a matplotlib\.figure\.Figure is not drawn as '\.html' - end the name with \.png, .*webp$"):
        figure_writer("a.html", figure)
    with pytest.raises(ExperimentError, match=r"is not drawn as '' - end the name with .*\.html$"):
        figure_writer("a", Plotly())


@pytest.mark.parametrize(
    "table",
    [
        {"x": [1, 2], "y": ["a", 'b,"c']},
        {"x": np.array([1, 2]), "y": ("a", 'b,"c')},
        pd.DataFrame({"x": [1, 2], "y": ["a", 'b,"c']}, index=[7, 8]),
        pl.DataFrame({"x": [1, 2], "y": ["a", 'b,"c']}),
    ],
    ids=["lists", "arrays", "pandas", "polars"],
)
def test_a_table_is_written_with_its_columns(tmp_path: Path, table: Any) -> None:
    table_writer("t.csv", table)(tmp_path / "t.csv")
    assert pd.read_csv(tmp_path / "t.csv").to_dict("list") == {"x": [1, 2], "y": ["a", 'b,"c']}


def test_a_frame_is_written_as_parquet(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1.5, None], "at": ["a", "b"]})
    table_writer("t.parquet", frame)(tmp_path / "t.parquet")
    assert pl.read_parquet(tmp_path / "t.parquet").equals(frame)


def test_what_is_no_table_is_one_line() -> None:
    with pytest.raises(ExperimentError, match=r"a table is not written as '\.xlsx' - end the name with \.csv or \.parquet"):
        table_writer("t.xlsx", {"x": [1]})
    with pytest.raises(ExperimentError, match=r"a list is no table - give a data frame or a mapping of columns"):
        table_writer("t.csv", [1, 2])
    with pytest.raises(ExperimentError, match=r"the columns have unlike lengths"):
        table_writer("t.csv", {"x": [1], "y": [1, 2]})
    with pytest.raises(ExperimentError, match=r"the columns have unlike lengths"):
        table_writer("t.csv", {"x": 1})
    with pytest.raises(ExperimentError, match=r"a column is a text, and not a list of values"):
        table_writer("t.csv", {"x": "abc", "y": [1, 2, 3]})
    with pytest.raises(ExperimentError, match=r"a mapping has no column types"):
        table_writer("t.parquet", {"x": [1]})
