"""What alert rules say of each other and of the rest of the configuration."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from mlops_core.records import Threshold
from mlops_core.structure import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from typing import Any

    from mlops_core.config.settings import AlertRule, Settings, SloSettings

__all__ = ["PAGE", "TICKET", "alert_problems"]

PAGE: Final = "slo.page"
TICKET: Final = "slo.ticket"
"""Rules that ``monitoring.slo`` makes."""


def _unclear(rule: AlertRule) -> str | None:
    """Why ``clear`` cannot end what ``when`` began: one metric, from the other side, and never both at once."""
    try:
        begins, ends = Threshold.parse(rule.when), Threshold.parse(rule.clear) if rule.clear is not None else None
    except ValueError:  # told by whoever reads the comparison itself
        return None
    if ends is None:
        return None
    if ends.metric != begins.metric:
        return f"it compares {ends.metric!r}, and 'when' {begins.metric!r} - compare the same metric"
    if not {begins.operator, ends.operator} <= {"<", "<=", ">", ">="}:
        return "it ends what a bound began - write 'when' and 'clear' with <, <=, > or >=, or leave 'clear' out"
    sides = {begins.operator[0], ends.operator[0]}
    apart = ends.bound <= begins.bound if begins.operator[0] == ">" else ends.bound >= begins.bound
    both = ends.bound == begins.bound and begins.operator.endswith("=") and ends.operator.endswith("=")
    if sides != {"<", ">"} or not apart or both:
        other = "<" if begins.operator[0] == ">" else ">"
        return (
            f"{str(ends)!r} can hold while {str(begins)!r} does - write one that cannot, such as '{begins.metric} {other} {begins.bound:g}'"
        )
    return None


def alert_problems(settings: Settings, channels: Mapping[str, Any], places: Sequence[int] | None = None) -> list[Problem]:
    """Channels that are not there, names that are taken, environments that are misspelled, conditions that end nothing.

    Any environment may be recorded by hand, so a name is wrong only where it nearly is that of a configured one.

    Args:
        settings: The configuration.
        channels: Those that rules may name.
        places: Where the rules stand in the list as it was written; None: as they are.
    """
    rules = settings.monitoring.alerts
    taken, found = set[str](), list[Problem]()
    for place, rule in zip(range(len(rules)) if places is None else places, rules, strict=True):
        found += [
            Problem(("monitoring", "alerts", place, *problem.path), problem.message) for problem in _of(rule, settings, channels, taken)
        ]
        taken.add(rule.name)
    if settings.monitoring.slo is not None:
        told = _places(settings.monitoring.slo, settings, channels)
        found += [Problem(("monitoring", "slo", *problem.path), problem.message) for problem in told]
    return found


def _of(rule: AlertRule, settings: Settings, channels: Mapping[str, Any], taken: Container[str]) -> Iterator[Problem]:
    if rule.name in taken:
        yield Problem(("name",), f"{rule.name!r} is taken by an earlier rule - give each rule its own name")
    if (told := _unclear(rule)) is not None:
        yield Problem(("clear",), told)
    if settings.monitoring.slo is not None and rule.name in {PAGE, TICKET}:
        yield Problem(("name",), f"{rule.name!r} is a rule of monitoring.slo - give this one another name")
    yield from _places(rule, settings, channels)


def _places(rule: AlertRule | SloSettings, settings: Settings, channels: Mapping[str, Any]) -> Iterator[Problem]:
    for place, name in enumerate(rule.notify):
        if name not in channels:
            yield Problem(("notify", place), f"no channel {name!r} - {nearest(name, channels)}")
    known = settings.environments
    if rule.environment is not None and rule.environment not in known and difflib.get_close_matches(rule.environment, known, 1):
        yield Problem(("environment",), f"no environment {rule.environment!r} - {nearest(rule.environment, known)}")
