"""Rules on single values of the configuration; each answers the value or raises ``Misfit``."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from math import inf
from typing import Final

from mlops_core.exceptions import NameRuleError
from mlops_core.names import check_name
from mlops_core.records import Threshold
from mlops_core.structure import Misfit, duration

__all__ = [
    "alarms",
    "condition",
    "level",
    "longer_span",
    "name",
    "not_negative",
    "optional_name",
    "period",
    "rate",
    "some",
    "some_share",
    "span",
    "steps",
    "written_span",
]

_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s+per\s+(\S+)")


def name(value: str) -> str:
    """Follows the name rule."""
    try:
        return check_name(value, "name")
    except NameRuleError as error:
        raise Misfit.of(error.message.removeprefix("name: ")) from error


def optional_name(value: str) -> str:
    """Follows the name rule, or is empty."""
    return name(value) if value else value


def not_negative(value: float) -> float:
    """Zero or more, and finite."""
    if value == inf:
        raise Misfit.of(f"expected a finite number, got {value}")
    if not value >= 0:
        raise Misfit.of(f"expected 0 or more, got {value}")
    return value


def some(value: int) -> int:
    """One or more."""
    if value < 1:
        raise Misfit.of(f"expected 1 or more, got {value}")
    return value


def level(value: float) -> float:
    """A significance level: strictly between 0 and 1."""
    if not 0 < value < 1:
        raise Misfit.of(f"expected a share between 0% and 100%, both excluded, got {value:g}")
    return value


def some_share(value: float) -> float:
    """A share above none, up to all."""
    if not 0 < value <= 1:
        raise Misfit.of(f"expected a share above 0% and up to 100%, got {value:g}")
    return value


def span(value: timedelta) -> timedelta:
    """A duration; it cannot be negative as it is written, but it can be in Python."""
    if value < timedelta(0):
        raise Misfit.of("expected a duration of 0s or more")
    return value


def longer_span(value: timedelta) -> timedelta:
    """A duration that is longer than nothing."""
    if value <= timedelta(0):
        raise Misfit.of("expected a duration longer than 0s")
    return value


def period(value: timedelta) -> timedelta:
    """The period of an objective: its shortest window is 1/8640 of it, and rules are evaluated every 10 s."""
    if value < timedelta(days=1):
        raise Misfit.of("expected a duration of 1d or more")
    return value


def written_span(value: str) -> str:
    """A duration that is longer than nothing, as it was written."""
    longer_span(duration(value))
    return value


def condition(value: str) -> str:
    """One comparison, such as ``error_rate > 0.02``."""
    try:
        Threshold.parse(value)
    except ValueError as error:
        raise Misfit.of(str(error)) from error
    return value


def rate(value: str) -> tuple[float, timedelta]:
    """A count and the time it is for, as in ``1 per 30d``."""
    found = _RATE.fullmatch(value.strip())
    if found is None:
        raise Misfit.of(f"expected a number per time, got {value!r:.40} - write one such as 1 per 30d")
    count, per = float(found[1]), longer_span(duration(found[2]))
    if not 0 < count < inf:
        raise Misfit.of(f"expected more than none per time, got {value!r:.40} - write one such as 1 per 30d")
    return count, per


def alarms(value: str) -> str:
    """A count per time, as it was written."""
    rate(value)
    return value


def steps(value: tuple[float, ...]) -> tuple[float, ...]:
    """Shares of traffic that rise to all of it."""
    rising = all(below < above for below, above in pairwise(value))
    if not value or not rising or value[0] <= 0 or value[-1] != 1:
        shown = ", ".join(f"{one:.4g}" for one in value)
        raise Misfit.of(f"expected shares that rise to 100%, got [{shown}] - write [5%, 25%, 100%]")
    return value
