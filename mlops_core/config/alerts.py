"""What alert rules say of each other and of the rest of the configuration."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from mlops_core.structure import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from typing import Any

    from mlops_core.config.settings import AlertRule, Settings

__all__ = ["alert_problems"]


def alert_problems(settings: Settings, channels: Mapping[str, Any], places: Sequence[int] | None = None) -> list[Problem]:
    """Channels that are not there, names that are taken, environments that are misspelled.

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
    return found


def _of(rule: AlertRule, settings: Settings, channels: Mapping[str, Any], taken: Container[str]) -> Iterator[Problem]:
    if rule.name in taken:
        yield Problem(("name",), f"{rule.name!r} is taken by an earlier rule - give each rule its own name")
    for place, name in enumerate(rule.notify):
        if name not in channels:
            yield Problem(("notify", place), f"no channel {name!r} - {nearest(name, channels)}")
    known = settings.environments
    if rule.environment is not None and rule.environment not in known and difflib.get_close_matches(rule.environment, known, 1):
        yield Problem(("environment",), f"no environment {rule.environment!r} - {nearest(rule.environment, known)}")
