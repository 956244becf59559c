"""Shares checked, mixed and taken back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.deployment.routes import check_weights, heaviest, mix, number_of, restored, variants_of
from mlops_core.exceptions import DeploymentError
from mlops_core.records import Variant

ONE = (Variant("1-a", "a", 1.0),)
TWO = (Variant("2-b", "b", 1.0),)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"a": 0.5, "b": 0.4}, "weights: they sum to 0.9, not 1 - a: 0.5, b: 0.4"),
        ({"a": 1.2, "b": -0.2}, "weights: a has 1.2 - give a fraction between 0 and 1, such as 0.1"),
        ({"a": math.nan}, "weights: a has nan"),
        ({"a": True}, "weights: a has True"),
        ({"a": "1"}, "weights: a has '1'"),
        ({}, "weights: expected a mapping"),
        ([("a", 1.0)], "weights: expected a mapping"),
    ],
)
def test_weights_that_are_no_distribution_are_refused(weights: Any, said: str) -> None:
    with pytest.raises(DeploymentError) as raised:
        check_weights(weights)
    assert raised.value.message.startswith(said)


def test_weights_are_fractions() -> None:
    assert check_weights({"a": 1, "b": 0}) == {"a": 1.0, "b": 0.0}
    assert check_weights({"a": 0.1, "b": 0.2, "c": 0.7}) == {"a": 0.1, "b": 0.2, "c": 0.7}


def test_variants_carry_the_number_of_their_deployment() -> None:
    variants = variants_of(12, {"1.0-rc.1": 0.4, "2.0": 0.6})
    assert [number_of(variant) for variant in variants] == [12, 12]
    assert heaviest(variants) == "2.0"
    assert [number_of(variant) for variant in variants_of(7, {"r": 1.0}, returns=True)] == [7]
    assert number_of(Variant("blue", "a", 1.0)) == 0
    assert number_of(Variant("²-a", "a", 1.0)) == 0


@given(weight=st.floats(0, 1), share=st.floats(0, 1))
def test_mixed_routes_sum_to_one_and_leave_nothing_out(weight: float, share: float) -> None:
    pair = (Variant("2-b", "b", share), Variant("2-c", "c", 1 - share))
    mixed = mix(ONE, pair, weight)

    assert math.isclose(math.fsum(variant.weight for variant in mixed), 1)
    assert all(0 < variant.weight <= 1 for variant in mixed)


def test_what_served_before_is_told_by_the_routes_alone() -> None:
    canary = mix(ONE, TWO, 0.25)

    assert restored(canary, ONE, 2) == ONE
    assert restored(TWO, canary, 2) == ONE
    assert restored(ONE, (), 1) == ()
    assert restored(ONE, TWO, 1) == (), "a later deployment never served before an earlier one"
    assert restored(TWO, (Variant("blue", "z", 1.0),), 2) == (), "a stranger's routes say nothing"


def test_what_was_routed_before_a_return_was_taken_back() -> None:
    bad, back, canary = variants_of(2, {"b": 1.0}), variants_of(3, {"a": 1.0}, returns=True), variants_of(4, {"c": 1.0})

    assert restored(back, bad, 3) == ()
    assert restored(canary, back, 4) == back
    assert restored(mix(back, canary, 0.1), back, 4) == back


def test_a_restored_test_of_two_keeps_its_shares() -> None:
    pair = variants_of(1, {"a": 0.8, "b": 0.2})
    assert [round(variant.weight, 9) for variant in restored(mix(pair, TWO, 0.5), (), 2)] == [0.8, 0.2]
