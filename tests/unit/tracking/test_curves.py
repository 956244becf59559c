"""Metrics of runs as curves."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.image import imread

from mlops_core.clock import SystemClock
from mlops_core.exceptions import ExperimentError
from mlops_core.records import Metric
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.testing.stack import make_stack
from mlops_core.tracking import ExperimentTracker
from mlops_core.tracking.curves import Curve, draw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

AT = SystemClock().now()


def curve(values: Sequence[float], run: str = "one", metric: str = "loss") -> Curve:
    return Curve(run, metric, tuple(Metric(metric, value, step, AT) for step, value in enumerate(values)))


def lines(file: Path) -> list[list[tuple[float, float]]]:
    """The points of each drawn line, a gap as an end and a new beginning, of a picture without axes' own lines."""
    tree = ET.fromstring(file.read_text())  # noqa: S314  the file is our own
    found = []
    for group in tree.iter("{http://www.w3.org/2000/svg}g"):
        if group.get("id", "").startswith("line2d"):
            for path in group.findall("{http://www.w3.org/2000/svg}path"):
                if "1.4" in path.get("style", ""):
                    numbers = path.get("d", "").replace("M", " ").replace("L", " ").split()
                    found.append(list(zip(map(float, numbers[::2]), map(float, numbers[1::2]), strict=True)))
    return found


def test_a_curve_goes_where_the_values_do(tmp_path: Path) -> None:
    draw([curve([3.0, 2.0, 1.0])], tmp_path / "c.svg")
    (line,) = lines(tmp_path / "c.svg")
    assert len(line) == 3
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    assert [y for _, y in line] == sorted(y for _, y in line)  # an SVG counts downwards


def test_what_is_no_number_leaves_a_gap(tmp_path: Path) -> None:
    draw([curve([1.0, 2.0, math.nan, math.inf, 1.7e308, 2.0, 1.0])], tmp_path / "c.svg")
    (line,) = lines(tmp_path / "c.svg")
    assert len(line) == 4
    assert (tmp_path / "c.svg").read_text().count("M ") > 1


def test_every_peak_of_a_long_curve_is_drawn(tmp_path: Path) -> None:
    values = np.zeros(200_000)
    values[[17, 123_456]] = 1.0, -1.0
    draw([curve(list(values))], tmp_path / "c.svg")
    (line,) = lines(tmp_path / "c.svg")
    heights = [y for _, y in line]
    middle = heights[0]
    assert min(heights) < middle < max(heights)
    assert len(line) < 5000
    assert (tmp_path / "c.svg").stat().st_size < 300_000


def test_a_long_curve_of_nothing_but_gaps(tmp_path: Path) -> None:
    draw([curve([math.nan] * 5000)], tmp_path / "c.png")
    assert imread(tmp_path / "c.png").ndim == 3


@pytest.mark.parametrize("form", [".png", ".svg", ".html"])
def test_names_are_names_and_no_markup(tmp_path: Path, form: str) -> None:
    odd = "_<b>$x_{1$ & é"
    file = tmp_path / f"c{form}"
    draw([curve([1.0, 2.0], odd, odd), curve([2.0], "second", odd)], file)
    if form == ".html":
        text = file.read_text()
        assert "<td>_&lt;b&gt;$x_{1$ &amp; é</td>" in text
        assert "<b>" not in text.replace("<body>", "")
        assert "<?xml" not in text
    if form == ".png":
        assert imread(file).shape[1] > 500


def test_a_picture_is_the_same_twice(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw([curve([1.0, 2.0]), curve([3.0, 1.0], "two")], tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExperimentError, match=r"curves: 'c\.gif' ends with none of \.png, \.svg, \.html"):
        draw([curve([1.0])], tmp_path / "c.gif")
    with pytest.raises(ExperimentError, match="curves: these runs have no metrics"):
        draw([], tmp_path / "c.png")
    with pytest.raises(ExperimentError, match="cannot be written: No such file or directory"):
        draw([curve([1.0])], tmp_path / "none" / "c.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ExperimentError, match=r"pip install 'motadata-mlops-core\[plot\]'"):
        draw([curve([1.0])], tmp_path / "c.png")
    assert list(tmp_path.iterdir()) == []


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    with ExperimentTracker(stack=make_stack(tmp_path, trackers={"memory": MemoryTracker()}, clock=SystemClock())) as tracker:
        ids = []
        for value in (1.0, 2.0):
            with tracker.start_run("same") as run:
                run.log_metrics({"loss": value, "accuracy": 0.5})
                ids.append(run.run_id)
        file = tracker.plot_metrics(ids, tmp_path / "c.html")
        assert all(f"<td>same ({run_id[:8]})</td>" in file.read_text() for run_id in ids)
        assert [point.value for point in tracker.metric_history(ids[1], "loss")] == [2.0]
        assert tracker.metric_history(ids[1], "none") == ()
        with pytest.raises(ExperimentError, match=r"none of these runs has a metric 'los' - they have accuracy, loss"):
            tracker.plot_metrics(ids, tmp_path / "d.png", metrics=["los"])
        with pytest.raises(ExperimentError, match="metrics is the text 'loss' - give a list"):
            tracker.plot_metrics(ids, tmp_path / "d.png", metrics="loss")
        assert not (tmp_path / "d.png").exists()
