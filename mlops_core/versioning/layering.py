"""Boxes in columns, so that arrows go from left to right: a layered drawing of a graph (Sugiyama, Tagawa and Toda, 1981)."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

__all__ = ["Layout", "Spot", "arrange"]

_SWEEPS: Final = 8
_ROW_GAP: Final = 14.0
_COLUMN_GAP: Final = 64.0
_BEND: Final = 4.0  # the height that an arrow takes in a column that it only passes

Edge = tuple[str, str]


@define(eq=False)
class Spot:
    """A box, or (without a name) where an arrow passes a column. ``x`` and ``y`` are its upper left corner."""

    name: str
    width: float
    height: float
    column: int
    x: float = 0.0
    y: float = 0.0
    before: list[Spot] = field(factory=list, repr=False)
    after: list[Spot] = field(factory=list, repr=False)

    @property
    def middle(self) -> float:
        """Half of its height down."""
        return self.y + self.height / 2


@frozen
class Layout:
    """Where boxes are, and for each arrow the spots that it goes through, the first and the last of which are boxes."""

    spots: Mapping[str, Spot]
    routes: tuple[tuple[Spot, ...], ...]
    width: float
    height: float


def arrange(sizes: Mapping[str, tuple[float, float]], edges: Iterable[Edge]) -> Layout:
    """Place boxes of (width, height) so that none overlaps another, nor an arrow a box that it does not belong to."""
    arrows = list(dict.fromkeys(edges))
    column = _columns(list(sizes), arrows)
    spots = {name: Spot(name, width, height, column[name]) for name, (width, height) in sizes.items()}
    trunks: dict[tuple[str, int], Spot] = {}
    routes = tuple(_route(spots[source], spots[target], trunks) for source, target in arrows)
    columns: list[list[Spot]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for spot in (*spots.values(), *trunks.values()):
        columns[spot.column].append(spot)
    _order(columns)
    width = _across(columns)
    height = _down(columns)
    return Layout(spots, routes, width, height)


def _columns(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Each box right of all that it is made of, and what is made of nothing directly left of what uses it.

    A ring, which no honest registry holds, is cut where it is met.
    """
    sources: dict[str, list[str]] = {name: [] for name in names}
    targets: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        sources[target].append(source)
        targets[source].append(target)
    found: dict[str, int] = {}
    waiting = list(names)
    while waiting:
        ready = [name for name in waiting if all(one in found for one in sources[name])] or waiting[:1]
        for name in ready:
            found[name] = 1 + max((found[one] for one in sources[name] if one in found), default=-1)
        waiting = [name for name in waiting if name not in found]
    for name in names:
        if not sources[name] and targets[name]:
            found[name] = max(0, min(found[one] for one in targets[name]) - 1)
    return found


def _route(source: Spot, target: Spot, trunks: dict[tuple[str, int], Spot]) -> tuple[Spot, ...]:
    """The arrows of one box pass a column together, and part behind it."""
    passed = [trunks.setdefault((source.name, one), Spot("", 0.0, _BEND, one)) for one in range(source.column + 1, target.column)]
    route = (source, *passed, target)
    if source.column < target.column:  # an arrow back would only disturb the order
        for left, right in itertools.pairwise(route):
            if right not in left.after:
                left.after.append(right)
                right.before.append(left)
    return route


def _order(columns: list[list[Spot]]) -> None:
    """Sort each column by where its neighbours stand, to and fro, and keep what crosses least."""
    best = [list(column) for column in columns]
    least = _crossings(best)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            _sort(column, columns, forward=forward)
        if (crossings := _crossings(columns)) < least:
            least, best = crossings, [list(column) for column in columns]
    for column, kept in zip(columns, best, strict=True):
        column[:] = kept


def _sort(column: list[Spot], columns: list[list[Spot]], *, forward: bool) -> None:
    place = {id(spot): index for one in columns for index, spot in enumerate(one)}

    def wanted(spot: Spot) -> float:
        return _mean([place[id(one)] for one in (spot.before if forward else spot.after)], place[id(spot)])

    column.sort(key=wanted)


def _crossings(columns: list[list[Spot]]) -> int:
    count = 0
    for left, right in itertools.pairwise(columns):
        place = {id(spot): index for index, spot in enumerate(right)}
        above: list[int] = []  # where the arrows of the spots above end, in order
        for spot in left:
            ends = [place[id(one)] for one in spot.after]
            count += sum(len(above) - bisect.bisect_right(above, end) for end in ends)
            for end in ends:
                bisect.insort(above, end)
    return count


def _across(columns: list[list[Spot]]) -> float:
    """Columns beside each other, each as wide as its widest box; answers the whole width."""
    x = 0.0
    for column in columns:
        width = max(spot.width for spot in column)
        for spot in column:
            spot.x, spot.width = x, width
        x += width + _COLUMN_GAP
    return max(0.0, x - _COLUMN_GAP)


def _down(columns: list[list[Spot]]) -> float:
    """Each box as near to the middle of its neighbours as those above and below it allow; answers the whole height."""
    for column in columns:
        _stack(column, lambda _: 0.0)
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            _stack(column, lambda spot: _mean([one.middle for one in (*spot.before, *spot.after)], spot.middle) - spot.height / 2)
    spots = [spot for column in columns for spot in column]
    top = min((spot.y for spot in spots), default=0.0)
    for spot in spots:
        spot.y -= top
    return max((spot.y + spot.height for spot in spots), default=0.0)


def _stack(column: list[Spot], wanted: Callable[[Spot], float]) -> None:
    """In order and without overlap, as a whole where the boxes want to be on average."""
    tops = [wanted(spot) for spot in column]
    y = float("-inf")
    for spot, top in zip(column, tops, strict=True):
        spot.y = max(top, y)
        y = spot.y + spot.height + _ROW_GAP
    shift = sum(top - spot.y for spot, top in zip(column, tops, strict=True)) / len(column)
    for spot in column:
        spot.y += shift


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
