"""Metrics of runs as curves: a picture, or a page that needs nothing else."""

from __future__ import annotations

import html
import io
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen

from mlops_core.exceptions import ExperimentError
from mlops_core.records import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mlops_core.records import TrackedRun

__all__ = ["FORMS", "Curve", "curves_of", "draw"]

FORMS: Final = (".png", ".svg", ".html")
"""Endings of files that ``draw`` can write."""
# Told apart with impaired colour vision too: M. Okabe and K. Ito, Color Universal Design, 2008.
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES: Final = ("-", "--", ":", "-.")
_COLUMNS: Final = 2
_WIDTH, _HEIGHT = 5.5, 3.2  # inches of one panel
_DOTS: Final = 150
_FINEST: Final = 2000
_LARGEST: Final = 1e300
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1150px;padding:0 1rem;color:#222}svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse}td,th{padding:.25rem .9rem;text-align:right;border-bottom:1px solid #ddd}"
    "td:nth-child(-n+2),th:nth-child(-n+2){text-align:left}"
)


@frozen
class Curve:
    """One metric of one run, by step."""

    run: str
    metric: str
    points: tuple[Metric, ...]


def curves_of(
    runs: Sequence[TrackedRun], metrics: Sequence[str] | None, history: Callable[[TrackedRun, str], tuple[Metric, ...]]
) -> list[Curve]:
    """Curves of these metrics, None for all, by metric and then by run. Runs of one name are told apart by their ids.

    Raises:
        ExperimentError: ``metrics`` is a text, or no run has one of them.
    """
    if isinstance(metrics, str):
        raise ExperimentError(f"curves: metrics is the text {metrics!r} - give a list of names")
    there = sorted({name for run in runs for name in run.metrics})
    for name in metrics or ():
        if name not in there:
            raise ExperimentError(f"curves: none of these runs has a metric {name!r} - they have {', '.join(there) or 'none'}")
    names = Counter(run.name for run in runs)
    called = {run.run_id: run.name if names[run.name] == 1 else f"{run.name} ({run.run_id[:8]})" for run in runs}
    wanted = there if metrics is None else list(dict.fromkeys(metrics))
    return [Curve(called[run.run_id], name, history(run, name)) for name in wanted for run in runs if name in run.metrics]


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Write a panel for each metric with a line for each run, as the path's ending says.

    NaN, infinities and what is beyond 1e300 leave a gap. A curve of many points is drawn by the least and the greatest of each stretch of
    the axis.

    Raises:
        ExperimentError: Another ending, matplotlib is not installed, or the file cannot be written.
    """
    form = path.suffix.lower()
    if form not in FORMS:
        raise ExperimentError(f"curves: {path.name!r} ends with none of {', '.join(FORMS)} - give a name such as curves.png")
    if not curves:
        raise ExperimentError("curves: these runs have no metrics - log some first")
    content = _page(curves) if form == ".html" else _picture(curves, form[1:])
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ExperimentError(f"curves: {path} cannot be written: {error.strerror or error} - give another file") from error


def _page(curves: Sequence[Curve]) -> bytes:
    svg = _picture(curves, "svg").decode()
    runs = list(dict.fromkeys(curve.run for curve in curves))
    title = html.escape(f"Metrics of {', '.join(runs)}")
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in _row(curve))}</tr>" for curve in curves)
    heads = "".join(f"<th>{name}</th>" for name in ("metric", "run", "points", "last step", "last", "least", "greatest"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1>{svg[svg.index('<svg') :]}<table><tr>{heads}</tr>{rows}</table></body></html>\n"
    ).encode()


def _row(curve: Curve) -> tuple[str, ...]:
    last = curve.points[-1]
    known = [point.value for point in curve.points if not math.isnan(point.value)] or [math.nan]
    values = (f"{value:.6g}" for value in (last.value, min(known), max(known)))
    return curve.metric, curve.run, str(len(curve.points)), str(last.step), *values


def _picture(curves: Sequence[Curve], form: str) -> bytes:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExperimentError("curves: matplotlib is not installed - run: pip install 'motadata-mlops-core[plot]'") from error
    metrics = list(dict.fromkeys(curve.metric for curve in curves))
    columns = min(_COLUMNS, len(metrics))
    rows = math.ceil(len(metrics) / columns)
    figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * rows + 0.5), layout="constrained")
    runs = list(dict.fromkeys(curve.run for curve in curves))
    for place, metric in enumerate(metrics):
        panel = figure.add_subplot(rows, columns, place + 1)
        _fill(panel, metric, [curve for curve in curves if curve.metric == metric], runs)
    if len(runs) > 1:
        _explain(figure, runs)
    kept = io.BytesIO()
    figure.savefig(kept, format=form, dpi=_DOTS, metadata={"Date": None} if form == "svg" else None)
    return kept.getvalue()


def _fill(panel: Any, metric: str, curves: Sequence[Curve], runs: Sequence[str]) -> None:
    panel.set_title(metric, fontsize=10, parse_math=False)  # a name is no formula
    panel.set_xlabel("step", fontsize=9)
    panel.tick_params(labelsize=8)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.grid(alpha=0.25)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for curve in curves:
        steps, values = _thinned(*_finite(curve.points))
        panel.plot(steps, values, marker="o" if len(steps) < _DOTS / 5 else None, markersize=3, **_line(runs.index(curve.run)))


def _explain(figure: Any, runs: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], **_line(number)) for number in range(len(runs))]
    legend = figure.legend(lines, runs, loc="outside lower center", ncols=min(4, len(runs)), fontsize=9, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _line(number: int) -> dict[str, Any]:
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "linestyle": _DASHES[number // len(_COLOURS) % len(_DASHES)],
        "linewidth": 1.4,
    }


def _finite(points: Sequence[Metric]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    steps = np.array([point.step for point in points], dtype=np.float64)
    values = np.array([point.value for point in points], dtype=np.float64)
    values[~(np.abs(values) < _LARGEST)] = np.nan  # also what no axis has room for
    return steps, values


def _thinned(steps: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As many points as can be seen: of each stretch of equally many, its first, least, greatest and gap."""
    if len(steps) <= _FINEST:
        return steps, values
    kept = []
    for part in np.array_split(np.arange(len(steps)), _FINEST // 4):
        found = values[part]
        gaps = np.flatnonzero(np.isnan(found))
        if len(gaps) < len(part):
            kept += [part[0], part[np.nanargmin(found)], part[np.nanargmax(found)]]
        kept += [part[gaps[0]]] if len(gaps) else []
    chosen = np.unique(kept)
    return steps[chosen], values[chosen]
