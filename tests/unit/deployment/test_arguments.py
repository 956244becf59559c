"""What the facade is given."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mlops_core.config.settings import CanarySettings
from mlops_core.deployment.arguments import check_canary, check_id, check_key, check_model, check_timeout
from mlops_core.exceptions import DeploymentError


def test_an_id_says_where_and_which() -> None:
    assert check_id("production/flight.delays/12") == ("production", "flight.delays", 12)


@pytest.mark.parametrize("value", ["", "production", "a/b/c", "a/b/-1", "a/b/1/2", "../b/1", "a//1", "a/b/²", None, 7, "x" * 500])
def test_anything_else_is_no_id(value: Any) -> None:
    with pytest.raises(DeploymentError) as raised:
        check_id(value)
    assert "give environment/model/number" in raised.value.message
    assert len(raised.value.message) < 250


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "30", None])
def test_a_timeout_is_a_number_of_seconds(value: Any) -> None:
    with pytest.raises(DeploymentError, match=r"timeout: .* is no number of seconds above zero"):
        check_timeout(value)


def test_good_values_pass() -> None:
    check_model("delays", "production")
    assert check_timeout(3) == 3.0
    assert check_key(None) == ""
    assert check_key("run-7/deployment") == "run-7/deployment"
    assert check_canary(CanarySettings()) == CanarySettings()


@pytest.mark.parametrize("value", ["", "x" * 401, 7])
def test_a_key_is_a_text(value: Any) -> None:
    with pytest.raises(DeploymentError, match="key: expected text of 1 to 400 characters"):
        check_key(value)
