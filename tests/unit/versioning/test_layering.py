from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_core.versioning.layering import Layout, Spot, _crossings, arrange

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE = (100.0, 40.0)


def arranged(*edges: str, alone: Iterable[str] = ()) -> Layout:
    pairs = [(edge[0], edge[1]) for edge in edges]
    names = dict.fromkeys([*(name for edge in pairs for name in edge), *alone])
    return arrange(dict.fromkeys(names, SIZE), pairs)


def columns(layout: Layout) -> dict[str, int]:
    return {name: spot.column for name, spot in layout.spots.items()}


def assert_apart(layout: Layout) -> None:
    """No box over another, and no arrow through a box that it does not end at."""
    for one, other in itertools.combinations(layout.spots.values(), 2):
        beside = one.x + one.width < other.x or other.x + other.width < one.x
        above = one.y + one.height < other.y or other.y + other.height < one.y
        assert beside or above, (one, other)
    for route in layout.routes:
        for spot in route[1:-1]:
            over = [box for box in layout.spots.values() if box.column == spot.column and box.y < spot.middle < box.y + box.height]
            assert over == []
    for spot in layout.spots.values():
        assert spot.x >= 0
        assert spot.y >= 0
        assert spot.x + spot.width <= layout.width
        assert spot.y + spot.height <= layout.height


def test_a_box_stands_right_of_what_it_is_made_of() -> None:
    assert columns(arranged("ab", "bc", "ac")) == {"a": 0, "b": 1, "c": 2}


def test_what_is_made_of_nothing_stands_beside_what_uses_it() -> None:
    assert columns(arranged("ab", "bc", "xc")) == {"a": 0, "b": 1, "c": 2, "x": 1}


def test_an_arrow_goes_around_the_boxes_of_columns_that_it_passes() -> None:
    layout = arranged("ab", "bc", "ac")
    passing = layout.routes[2]
    assert [spot.name for spot in passing] == ["a", "", "c"]
    assert_apart(layout)


def test_arrows_of_one_box_pass_a_column_together() -> None:
    layout = arranged("ab", "bc", "bd", "ac", "ad")
    assert layout.routes[3][1] is layout.routes[4][1]


def test_boxes_are_ordered_so_that_arrows_do_not_cross() -> None:
    layout = arranged("ad", "bc", "ce", "df")
    spots = layout.spots
    assert (spots["a"].y < spots["b"].y) == (spots["d"].y < spots["c"].y)


def test_a_chain_is_a_straight_line() -> None:
    assert {spot.middle for spot in arranged("ab", "bc").spots.values()} == {20.0}


def test_a_lonely_box_and_nothing_at_all() -> None:
    assert arranged(alone="a").spots["a"].x == 0
    empty = arrange({}, [])
    assert (empty.width, empty.height, empty.routes) == (0, 0, ())


@pytest.mark.parametrize("edges", [("aa",), ("ab", "ba"), ("ab", "bc", "ca", "cd")])
def test_a_ring_is_drawn_all_the_same(edges: tuple[str, ...]) -> None:
    layout = arranged(*edges)
    assert len(layout.routes) == len(edges)
    assert_apart(layout)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(lambda pair: pair[0] < pair[1]), max_size=60))
def test_nothing_overlaps_whatever_the_graph(pairs: list[tuple[int, int]]) -> None:
    sizes = {str(number): (60.0 + number, 46.0) for number in range(41)}
    layout = arrange(sizes, [(str(source), str(target)) for source, target in pairs])
    assert_apart(layout)
    for source, target in pairs:
        assert layout.spots[str(source)].column < layout.spots[str(target)].column


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=25))
def test_crossings_are_counted_as_one_would_by_hand(arrows: list[tuple[int, int]]) -> None:
    left, right = ([Spot(str(index), 1.0, 1.0, column) for index in range(8)] for column in (0, 1))
    arrows = list(dict.fromkeys(arrows))
    for source, target in arrows:
        left[source].after.append(right[target])
    crossed = [(a, b) for a, b in itertools.combinations(sorted(arrows), 2) if a[0] < b[0] and a[1] > b[1]]
    assert _crossings([left, right]) == len(crossed)


def test_a_thousand_users_are_arranged_in_a_moment() -> None:
    """Counted pair by pair, their crossings took minutes."""
    names = [f"n{index}" for index in range(3000)]
    layout = arrange(dict.fromkeys(["root", "data", *names], SIZE), [(source, name) for name in names for source in ("root", "data")])
    assert {layout.spots[name].column for name in names} == {1}
