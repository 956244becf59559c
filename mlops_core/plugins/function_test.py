"""A plain function as a drift test."""

from __future__ import annotations

import typing
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import PluginError
from mlops_core.plugins.function_stage import class_of, options_of, parameters_of
from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["drift_test_class"]

_SAMPLES: Final = 2
_CHANCE: Final = "rng"


def drift_test_class(function: Callable[..., Any], where: str) -> type[DriftTest]:
    """A drift test of the current contract around ``function(reference, current)``.

    Its keyword-only parameters are options, but for ``rng``, which receives the source of chance. It answers a ``TestOutcome``, or
    ``(statistic, p_value)`` or ``(statistic, p_value, effect_size)``; the effect size is the statistic's absolute value unless it is told.
    What ``mlops_core.roles.drift_test`` was given above it, the class has.

    Raises:
        PluginError: It does not take two samples, or an option's annotation cannot be resolved.
    """
    parameters = parameters_of(function, where)
    if sum(one.kind is not Parameter.KEYWORD_ONLY for one in parameters) != _SAMPLES:
        raise PluginError(f"{where}: {function.__name__} takes other than two samples - begin with (reference, current, *, ...)")
    takes_chance = any(one.name == _CHANCE for one in parameters)
    options = [one for one in parameters if one.name != _CHANCE]
    names = tuple(one.name for one in options if one.kind is Parameter.KEYWORD_ONLY)

    def compare(self: Any, reference: Any, current: Any, *, rng: Any) -> TestOutcome:
        chance = {_CHANCE: rng} if takes_chance else {}
        found = function(reference, current, **chance, **{name: getattr(self, name) for name in names})
        return found if isinstance(found, TestOutcome) else _outcome(function.__name__, found, len(reference), len(current))

    declared = getattr(function, "drift_test", {})
    body = {"contract": 1, "compare": compare, "__wrapped__": staticmethod(function), **declared}
    return typing.cast("type[DriftTest]", class_of(function, options_of(function, options, where), (DriftTest,), body))


def _outcome(name: str, found: Any, n: int, m: int) -> TestOutcome:
    statistic, p_value, *effect = (float(one) for one in found)
    return TestOutcome(statistic, p_value, effect[0] if effect else abs(statistic), name.replace("_", " "), n, m)
