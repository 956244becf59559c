"""Conditions of alert rules: one comparison, and the nearest name for a mistyped metric."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.records import METRICS, Threshold, Window, check_value_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error_rate > 0.02", Threshold("error_rate", ">", 0.02)),
        ("error_rate>2%", Threshold("error_rate", ">", 0.02)),
        ("  p95_latency >= .3 ", Threshold("p95_latency", ">=", 0.3)),
        ("total_predictions < 10", Threshold("total_predictions", "<", 10)),
        ("drift.ks.p_value < 5e-2", Threshold("drift.ks.p_value", "<", 0.05)),
        ("custom.margin != -1", Threshold("custom.margin", "!=", -1)),
    ],
)
def test_reads_one_comparison(text: str, expected: Threshold) -> None:
    assert Threshold.parse(text) == expected
    assert Threshold.parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a condition"),
        ("error_rate", "is not a condition"),
        ("error_rate > x", "is not a condition"),
        ("error_rate > 1 and 1 > 0", "is not a condition"),
        ("__import__('os') > 0", "is not a condition"),
        ("error_rate > " + "9" * 500, "is not a condition"),
        ("error_rate > 1e999", "too large"),
        (0.02, "is not a condition"),
        ("eror_rate > 0", "unknown metric 'eror_rate' - did you mean 'error_rate'"),
        ("drfit.ks.p_value < 1", "did you mean 'drift.ks.p_value'"),
        ("cpu > 1", "unknown metric 'cpu' - known are avg_latency"),
    ],
)
def test_anything_else_is_one_line(text: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"condition|metric|bound") as caught:
        Threshold.parse(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_text_behind_which_something_stands_is_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"condition|metric|bound"):
        Threshold.parse(f"{text} ;")


@pytest.mark.parametrize(
    ("operator", "held"),
    [("<", [1]), ("<=", [1, 2]), (">", [3]), (">=", [2, 3]), ("==", [2]), ("!=", [1, 3])],
)
def test_holds_as_written(operator: str, held: list[int]) -> None:
    condition = Threshold.parse(f"error_rate {operator} 2")
    assert [value for value in (1, 2, 3) if condition.holds(value)] == held
    assert not condition.holds(None)


def test_every_metric_is_one_of_a_window() -> None:
    assert all(isinstance(getattr(Window, name), property) for name in METRICS)


@pytest.mark.parametrize("name", ["drift.p_value", "live.accuracy", "custom.a.b-c"])
def test_recorded_values_have_a_family(name: str) -> None:
    assert check_value_name(name) == name


@pytest.mark.parametrize("name", ["accuracy", "drift", "drift.", "drift..x", "drift.a b", "other.x", "drift." + "x" * 300, 7, None])
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="unknown metric"):
        check_value_name(name)
