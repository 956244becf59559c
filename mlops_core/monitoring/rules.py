"""Alert rules: read from the configuration, checked, and measured over windows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from mlops_core.config import alerts as config
from mlops_core.config import rules as limits
from mlops_core.config.settings import AlertRule
from mlops_core.exceptions import ConfigError
from mlops_core.monitoring.incidents import Measured
from mlops_core.names import is_name
from mlops_core.records import DEFAULT_ENVIRONMENT, SeriesKey, Threshold, Window
from mlops_core.structure import Misfit, key_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.config.settings import Settings, SloSettings
    from mlops_core.monitoring.reading import Reader

__all__ = ["Rule", "alert_problems", "environments_of", "read_rules"]


@frozen
class Rule:
    """A rule of the configuration with its condition read."""

    settings: AlertRule
    condition: Threshold
    clear: Threshold | None = None

    def measure(self, model: str, series: Sequence[SeriesKey], reader: Reader, now: datetime) -> Iterator[Measured]:
        """The metric over the rule's window, per environment."""
        for environment in environments_of(self.settings, model, series):
            keys = [key for key in series if (key.model, key.environment) == (model, environment)]
            window = reader.window(keys, now - self.settings.window, now)
            yield self.judge(environment, window)

    def judge(self, environment: str, window: Window) -> Measured:
        """What the metric means where it was measured; one with an interval counts as far as it is proved, so that chance tells nobody."""
        rule, value = self.settings, window.metric(self.condition.metric)
        holds = _met(self.condition, window) if value is not None else {"ok": False, "alert": True, "keep": None}[rule.no_data]
        return Measured(
            rule=rule.name,
            environment=environment,
            condition=f"{self.condition}",
            value=value,
            holds=holds,
            cleared=holds is False if value is None or self.clear is None else _met(self.clear, window),
            notify=rule.notify,
            hold_for=rule.hold_for,
            keep=rule.keep,
        )


def _met(condition: Threshold, window: Window) -> bool:
    return condition.holds(window.proved(condition.metric, above=condition.operator.startswith(">")))


def environments_of(rule: AlertRule | SloSettings, model: str, series: Sequence[SeriesKey]) -> list[str]:
    """Where a rule looks at this model; one that names the model looks also where nothing was ever recorded."""
    if rule.model not in (None, model):
        return []
    known = sorted({key.environment for key in series if key.model == model and rule.environment in (None, key.environment)})
    return known or ([] if rule.model is None else [rule.environment or DEFAULT_ENVIRONMENT])


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
    """One line for each mistake in ``monitoring.alerts`` and ``monitoring.slo``: key, cause and remedy."""
    rules = enumerate(settings.monitoring.alerts)
    alone = (f"monitoring.alerts[{number}].{problem}" for number, rule in rules for problem in _problems(rule))
    together = (f"{key_text(problem.path)}: {problem.message}" for problem in config.alert_problems(settings, settings.channels))
    return (*alone, *_slo_problems(settings.monitoring.slo), *together)


def _slo_problems(slo: SloSettings | None) -> Iterator[str]:
    checks = () if slo is None else ((limits.level, "success"), (limits.period, "over"), (limits.some, "min_failures"))
    for check, key in checks:
        try:
            check(getattr(slo, key))
        except Misfit as misfit:
            yield f"monitoring.slo.{key}: {misfit}"


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
