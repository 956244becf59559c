"""Alert rules: read from the configuration, checked, and measured over windows."""

from __future__ import annotations

import difflib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from mlops_core.config.settings import AlertRule
from mlops_core.exceptions import ConfigError
from mlops_core.names import is_name
from mlops_core.records import DEFAULT_ENVIRONMENT, SeriesKey, Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.config.settings import Settings
    from mlops_core.monitoring.reading import Reader

__all__ = ["Measured", "Rule", "alert_problems", "read_rules"]


@frozen
class Rule:
    """A rule of the configuration with its condition read."""

    settings: AlertRule
    condition: Threshold

    def environments(self, model: str, series: Sequence[SeriesKey]) -> list[str]:
        """Where the rule looks at this model; a rule that names the model looks also where nothing was ever recorded."""
        rule = self.settings
        if rule.model not in (None, model):
            return []
        known = sorted({key.environment for key in series if key.model == model and rule.environment in (None, key.environment)})
        return known or ([] if rule.model is None else [rule.environment or DEFAULT_ENVIRONMENT])

    def measure(self, model: str, series: Sequence[SeriesKey], reader: Reader, now: datetime) -> Iterator[Measured]:
        """The metric over the rule's window, per environment."""
        for environment in self.environments(model, series):
            keys = [key for key in series if (key.model, key.environment) == (model, environment)]
            window = reader.window(keys, now - self.settings.window, now)
            yield Measured(self, environment, window.metric(self.condition.metric))


@frozen
class Measured:
    """What a rule's metric is now; None without data, which meets no condition."""

    rule: Rule
    environment: str
    value: float | None

    @property
    def holds(self) -> bool:
        """Whether the condition is met."""
        return self.rule.condition.holds(self.value)


def read_rules(settings: Settings) -> tuple[Rule, ...]:
    """The rules of the configuration.

    Raises:
        ConfigError: One line for each mistake.
    """
    problems = alert_problems(settings)
    if problems:
        raise ConfigError(*problems)
    return tuple(Rule(rule, Threshold.parse(rule.when)) for rule in settings.monitoring.alerts)


def alert_problems(settings: Settings) -> tuple[str, ...]:
    """One line for each mistake in ``monitoring.alerts``: key, cause and remedy."""
    rules = settings.monitoring.alerts
    found: list[str] = []
    for number, rule in enumerate(rules):
        key = f"monitoring.alerts[{number}]"
        found += [f"{key}.{problem}" for problem in _problems(rule, settings)]
        if rule.name in [earlier.name for earlier in rules[:number]]:
            found.append(f"{key}.name: {rule.name!r} is taken by an earlier rule - give each rule its own name")
    return tuple(found)


def _problems(rule: AlertRule, settings: Settings) -> Iterator[str]:
    if not is_name(rule.name):
        yield f"name: {rule.name[:40]!r} is not a name - use A-Z a-z 0-9 . _ -"
    try:
        Threshold.parse(rule.when)
    except ValueError as error:
        yield f"when: {error}"
    if rule.window <= timedelta(0):
        yield f"window: {rule.window} is no window - give a length above zero, such as 5m"
    if rule.hold_for < timedelta(0):
        yield f"for: {rule.hold_for} is no duration - give 0s or more"
    for name in rule.notify:
        if name not in settings.channels:
            near = difflib.get_close_matches(name, settings.channels, 1)
            hint = f"did you mean {near[0]!r}?" if near else "add it under 'channels'"
            yield f"notify: no channel {name!r} - {hint}"
