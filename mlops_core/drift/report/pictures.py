"""Both sides of a column as SVG: the reference filled, the current data as a line."""

from __future__ import annotations

import html
import math
import re
from typing import TYPE_CHECKING, Final

from mlops_core.drift.report.words import figure, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlops_core.drift.results import Distribution

__all__ = ["picture", "sketch", "text"]

_WIDTH: Final = 640.0
_HEIGHT: Final = 150.0
_SIDE: Final = 16.0
_STRIP: Final = 14.0
_TICKS: Final = 5
_ROW: Final = 30.0
_NAMES: Final = 190.0
_LONGEST: Final = 26
_SMALL: Final = (132.0, 30.0)
_NICE: Final = (1, 2, 2.5, 5, 10)
_DAYS: Final = (1, 2, 5, 10, 30, 90, 365, 1825)
_LENGTHS: Final = (1e-3, 1e-2, 0.1, 1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, *(86_400 * days for days in _DAYS))
_MARGIN: Final = 0.03
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def text(value: object) -> str:
    """Safe between tags and in an attribute."""
    return html.escape(_CONTROL.sub("\ufffd", str(value)))


def sketch(one: Distribution) -> str:
    """A small one, for a row of a table."""
    wide, high = _SMALL
    return _svg(wide, high, _label(one), _sides(one, 0, wide, 1, high - 2))


def picture(one: Distribution) -> str:
    """The large one: bins with their quantiles below, or a pair of bars for each category."""
    return _bars(one) if one.labels else _bins(one)


def _bins(one: Distribution) -> str:
    edges, below = one.edges, _HEIGHT + 8
    reach = _WIDTH - 2 * _SIDE

    def across(value: float) -> float:
        return _SIDE + reach * min(1.0, max(0.0, (value - edges[0]) / (edges[-1] - edges[0])))

    parts = [*_sides(one, _SIDE, reach, 4, _HEIGHT - 4)]
    parts.append(f'<line class="axis" x1="{_SIDE}" x2="{_WIDTH - _SIDE}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>')
    for place, name in enumerate(("reference", "current")):
        parts.extend(_box(getattr(one, f"{name}_quantiles"), name, below + place * _STRIP, across))
    bottom = below + 2 * _STRIP + 14
    for value in _ticks(edges[0], edges[-1], one.kind):
        x = across(value)
        parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{_HEIGHT}" y2="{bottom - 12:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom:.1f}" text-anchor="middle">{text(figure(value, one.kind))}</text>')
    return _svg(_WIDTH, bottom + 6, _label(one), parts)


def _box(quantiles: Sequence[float], name: str, y: float, across: Callable[[float], float]) -> Iterator[str]:
    """From 5 to 95 %, the middle half thicker, the median marked."""
    low, quarter, middle, upper, high = (across(value) for value in quantiles)
    centre = y + _STRIP / 2
    yield f'<line class="{name} whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{centre}" y2="{centre}"/>'
    yield f'<rect class="{name} box" x="{quarter:.1f}" y="{y + 2}" width="{max(upper - quarter, 1):.1f}" height="{_STRIP - 4}" rx="2"/>'
    yield f'<line class="median" x1="{middle:.1f}" x2="{middle:.1f}" y1="{y + 1}" y2="{y + _STRIP - 1}"/>'


def _sides(one: Distribution, left: float, width: float, top: float, height: float) -> Iterator[str]:
    """Steps of both sides on one scale."""
    most = max(*one.reference, *one.current)
    step = width / len(one.reference)
    for name, shares in (("reference", one.reference), ("current", one.current)):
        corners = [f"{left:.1f},{top + height:.1f}"]
        for place, value in enumerate(shares):
            y = top + height * (1 - value / most)
            corners += [f"{left + place * step:.1f},{y:.1f}", f"{left + (place + 1) * step:.1f},{y:.1f}"]
        corners.append(f"{left + width:.1f},{top + height:.1f}")
        yield f'<polyline class="{name} steps" points="{" ".join(corners)}"/>'


def _bars(one: Distribution) -> str:
    most = max(*one.reference, *one.current)
    reach = _WIDTH - _NAMES - 60
    parts = []
    for place, (label, before, after) in enumerate(zip(one.labels, one.reference, one.current, strict=True)):
        y = place * _ROW + 4
        short = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
        parts.append(f'<text x="{_NAMES - 10}" y="{y + 15}" text-anchor="end">{text(short)}<title>{text(label)}</title></text>')
        for side, (name, value) in enumerate((("reference", before), ("current", after))):
            wide, at = reach * value / most, y + side * 11
            parts.append(f'<rect class="{name} bar" x="{_NAMES}" y="{at}" width="{wide:.1f}" height="10"/>')
            parts.append(f'<text class="small" x="{_NAMES + wide + 5:.1f}" y="{at + 9}">{share(value)}</text>')
    return _svg(_WIDTH, len(one.labels) * _ROW + 6, _label(one), parts)


def _ticks(low: float, high: float, kind: str) -> list[float]:
    """Round values between the ends, away from the very ends, where their words would not fit."""
    second = {"datetime": 1e6, "duration": 1.0}.get(kind)
    rough = (high - low) / _TICKS
    size = 10 ** math.floor(math.log10(rough))
    usual = [size * nice for nice in _NICE] if second is None else [second * length for length in _LENGTHS]
    step = next((one for one in usual if one >= rough), rough)
    margin = (high - low) * _MARGIN
    first = math.ceil((low + margin) / step)
    return [place * step for place in range(first, first + 2 * _TICKS) if place * step <= high - margin]


def _label(one: Distribution) -> str:
    return f"distribution of {one.column}, reference and current"


def _svg(width: float, height: float, label: str, parts: Iterator[str] | list[str]) -> str:
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg {size} role="img" aria-label="{text(label)}">{"".join(parts)}</svg>'
