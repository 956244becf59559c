import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mlops_core.config import rules
from mlops_core.structure import Misfit

KEPT: list[tuple[Callable[[Any], Any], Any]] = [
    (rules.name, "flight-delays_2.0"),
    (rules.optional_name, ""),
    (rules.optional_name, "m"),
    (rules.not_negative, 0),
    (rules.not_negative, 2.5),
    (rules.level, 0.05),
    (rules.span, timedelta(0)),
    (rules.longer_span, timedelta(milliseconds=1)),
    (rules.condition, "error_rate > 2%"),
    (rules.condition, "drift.ks.p_value < 0.01"),
    (rules.some, 1),
    (rules.period, timedelta(days=1)),
    (rules.alarms, "1 per 30d"),
    (rules.alarms, " 0.5  per 1h30m "),
    (rules.steps, (0.05, 0.25, 1.0)),
    (rules.steps, (1.0,)),
]
BROKEN: list[tuple[Callable[[Any], Any], Any, str]] = [
    (rules.name, "flight delays", r"'flight delays' is not a name - use 1 to 128"),
    (rules.name, "", "'' is not a name"),
    (rules.optional_name, "-x", "'-x' is not a name"),
    (rules.not_negative, -1, "expected 0 or more, got -1"),
    (rules.not_negative, math.nan, "expected 0 or more, got nan"),
    (rules.not_negative, math.inf, "expected a finite number, got inf"),
    (rules.level, 0.0, "both excluded, got 0"),
    (rules.level, 1.0, "both excluded, got 1"),
    (rules.some, 0, "expected 1 or more, got 0"),
    (rules.period, timedelta(hours=23), "expected a duration of 1d or more"),
    (rules.span, timedelta(seconds=-1), "expected a duration of 0s or more"),
    (rules.longer_span, timedelta(0), "expected a duration longer than 0s"),
    (rules.condition, "eror_rate > 1", r"unknown metric 'eror_rate' - did you mean 'error_rate'\?"),
    (rules.condition, "error_rate", "is not a condition"),
    (rules.alarms, "monthly", "expected a number per time, got 'monthly' - write one such as 1 per 30d"),
    (rules.alarms, "-1 per 30d", "expected a number per time"),
    (rules.alarms, "0 per 30d", "expected more than none per time, got '0 per 30d'"),
    (rules.alarms, "1 per 30", "expected a duration, got"),
    (rules.alarms, "1 per 0d", "expected a duration longer than 0s"),
    (rules.steps, (), "expected shares that rise to 100%"),
    (rules.steps, (0.5,), r"got \[0\.5\] - write \[5%, 25%, 100%\]"),
    (rules.steps, (0.5, 0.25, 1.0), r"got \[0\.5, 0\.25, 1\]"),
    (rules.steps, (0.0, 1.0), "expected shares that rise"),
]


@pytest.mark.parametrize(("rule", "value"), KEPT)
def test_a_value_that_keeps_its_rule_is_answered(rule: Callable[[Any], Any], value: Any) -> None:
    assert rule(value) == value


@pytest.mark.parametrize(("rule", "value", "cause"), BROKEN)
def test_a_value_that_breaks_its_rule_is_one_line(rule: Callable[[Any], Any], value: Any, cause: str) -> None:
    with pytest.raises(Misfit, match=cause) as caught:
        rule(value)
    assert "\n" not in str(caught.value)
