"""Arguments of monitoring."""

from typing import Any

import pytest

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.arguments import check_id, check_kept, check_outcomes, check_values


def test_what_is_right_passes() -> None:
    check_kept("a", {"x": 1}, 0.5)
    check_kept(None, None, None)
    check_id("a" * 256)
    assert check_values({"live.f1": 1, "custom.a": 0.5}) == {"live.f1": 1.0, "custom.a": 0.5}
    assert check_outcomes({"a": 1, ("b", 2): "late"}) == [("a", 0, 1), ("b", 2, "late")]


@pytest.mark.parametrize(
    ("check", "value", "told"),
    [
        (lambda features: check_kept(None, features, None), 5, "features: expected values by column, got int"),
        (lambda score: check_kept("a", None, score), 85, "score: 85 is no probability"),
        (lambda score: check_kept("a", None, score), float("nan"), "score: nan is no probability"),
        (lambda score: check_kept("a", None, score), "0.5", "score: '0.5' is no probability"),
        (check_id, "", "prediction_id: expected text of 1 to 256 characters"),
        (check_id, "a" * 257, "prediction_id: expected text"),
        (check_values, [1], "values: expected a mapping of names to numbers, got list"),
        (check_values, {"live.f1": float("inf")}, "values: live.f1 is inf - give a finite number"),
        (check_values, {"live.f1": True}, "values: live.f1 is True"),
        (check_values, {"liv.f1": 1}, "values: unknown metric 'liv.f1' - did you mean 'live.f1'"),
        (check_outcomes, "a", "outcomes: expected labels by prediction id, got str"),
        (check_outcomes, {("a", 1, 2): 1}, "prediction_id: expected text"),
        (check_outcomes, {("a", True): 1}, "row: True is no row of a request"),
    ],
)
def test_what_is_wrong_is_one_line(check: Any, value: Any, told: str) -> None:
    with pytest.raises(MonitoringError) as caught:
        check(value)
    assert caught.value.message.startswith(told)
    assert " - " in caught.value.message
