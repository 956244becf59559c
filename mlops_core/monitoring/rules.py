"""Alert rules: read from the configuration, checked, and measured over windows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from mlops_core.config import alerts as config
from mlops_core.config.settings import AlertRule
from mlops_core.exceptions import ConfigError
from mlops_core.names import is_name
from mlops_core.records import DEFAULT_ENVIRONMENT, SeriesKey, Threshold
from mlops_core.structure import key_text

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
    clear: Threshold | None = None

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
    """What a rule's metric is now; None without data."""

    rule: Rule
    environment: str
    value: float | None

    @property
    def holds(self) -> bool | None:
        """Whether the condition is met; None where nothing is known and the rule keeps what was."""
        if self.value is None:
            return {"ok": False, "alert": True, "keep": None}[self.rule.settings.no_data]
        return self.rule.condition.holds(self.value)

    @property
    def cleared(self) -> bool:
        """Whether what fires may end."""
        if self.value is None or self.rule.clear is None:
            return self.holds is False
        return self.rule.clear.holds(self.value)


def read_rules(settings: Settings) -> tuple[Rule, ...]:
    """The rules of the configuration.

    Raises:
        ConfigError: One line for each mistake.
    """
    problems = alert_problems(settings)
    if problems:
        raise ConfigError(*problems)
    return tuple(_rule(rule) for rule in settings.monitoring.alerts)


def _rule(rule: AlertRule) -> Rule:
    return Rule(rule, Threshold.parse(rule.when), None if rule.clear is None else Threshold.parse(rule.clear))


def alert_problems(settings: Settings) -> tuple[str, ...]:
    """One line for each mistake in ``monitoring.alerts``: key, cause and remedy."""
    rules = enumerate(settings.monitoring.alerts)
    alone = (f"monitoring.alerts[{number}].{problem}" for number, rule in rules for problem in _problems(rule))
    together = (f"{key_text(problem.path)}: {problem.message}" for problem in config.alert_problems(settings, settings.channels))
    return (*alone, *together)


def _problems(rule: AlertRule) -> Iterator[str]:
    """What the file's reader finds too; settings may also be made in Python."""
    if not is_name(rule.name):
        yield f"name: {rule.name[:40]!r} is not a name - use A-Z a-z 0-9 . _ -"
    for key, condition in (("when", rule.when), ("clear", rule.clear)):
        try:
            if condition is not None:
                Threshold.parse(condition)
        except ValueError as error:
            yield f"{key}: {error}"
    if rule.window <= timedelta(0):
        yield f"window: {rule.window} is no window - give a length above zero, such as 5m"
    for key, span in (("for", rule.hold_for), ("keep", rule.keep)):
        if span < timedelta(0):
            yield f"{key}: {span} is no duration - give 0s or more"
