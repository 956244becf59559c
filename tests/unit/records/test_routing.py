"""Which variant answers."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Variant
from mlops_core.records.routing import check_routes, pick, share_of

UNITS = [f"user-{number}" for number in range(4000)]


def pair(weight: float, names: tuple[str, str] = ("1-a", "2-b")) -> tuple[Variant, Variant]:
    return Variant(names[0], "a", 1 - weight), Variant(names[1], "b", weight)


def chosen(weight: float, names: tuple[str, str] = ("1-a", "2-b")) -> dict[str, str]:
    variants = pair(weight, names)
    return {unit: pick(variants, share_of(unit, variants)).version for unit in UNITS}


def test_units_meet_variants_by_weight() -> None:
    counts = Counter(chosen(0.1).values())
    assert abs(counts["b"] / len(UNITS) - 0.1) < 4 * math.sqrt(0.1 * 0.9 / len(UNITS))


def test_a_reweight_moves_only_those_it_must() -> None:
    before, after = chosen(0.1), chosen(0.25)
    moved = [unit for unit in UNITS if before[unit] != after[unit]]

    assert {before[unit] for unit in moved} == {"a"}
    assert abs(len(moved) / len(UNITS) - 0.15) < 4 * math.sqrt(0.15 * 0.85 / len(UNITS))


def test_another_rollout_deals_anew() -> None:
    before, after = chosen(0.5), chosen(0.5, ("1-a", "3-b"))
    same = sum(before[unit] == after[unit] for unit in UNITS)
    assert abs(same / len(UNITS) - 0.5) < 4 * math.sqrt(0.25 / len(UNITS))


@given(weight=st.floats(0, 1), share=st.floats(0, 1, exclude_max=True))
def test_a_variant_without_weight_is_never_met(weight: float, share: float) -> None:
    assert pick(pair(weight), share).weight > 0


def test_rounding_leaves_no_gap_at_the_end() -> None:
    thirds = tuple(Variant(f"{n}", f"{n}", 0.1) for n in range(10))
    assert pick(thirds, math.nextafter(1, 0)).version == "9"


def test_without_routes_there_is_nobody() -> None:
    with pytest.raises(DeploymentError, match="endpoint: nothing is routed here"):
        pick((), 0.5)


@pytest.mark.parametrize(
    "variants",
    [
        pair(1.5),
        (Variant("1-a", "a", 0.5),),
        (Variant("1-a", "a", 0.5), Variant("1-a", "b", 0.5)),
        (Variant("1", "a", 0.5), Variant("2", "a", 0.5)),
    ],
)
def test_routes_that_are_no_distribution_are_refused(variants: tuple[Variant, ...]) -> None:
    with pytest.raises(DeploymentError, match="routes: "):
        check_routes(variants)


def test_routes_that_are_one_pass() -> None:
    check_routes(())
    check_routes(pair(0.1))
    check_routes(tuple(Variant(f"{n}", f"{n}", 0.1) for n in range(10)))
