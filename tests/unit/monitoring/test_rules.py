"""Alert rules of the configuration: checked all at once, measured where they look."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from mlops_core.config.settings import AlertRule, EnvironmentSettings, MonitoringSettings, Settings, SloSettings, Use
from mlops_core.exceptions import ConfigError
from mlops_core.monitoring.reading import Reader
from mlops_core.monitoring.rules import alert_problems, environments_of, read_rules
from mlops_core.records import SeriesKey
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.sink_suite import segment

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)


def settings(*rules: AlertRule) -> Settings:
    return Settings(channels={"ops": Use("log")}, monitoring=MonitoringSettings(alerts=rules))


def test_good_rules_are_read() -> None:
    (rule,) = read_rules(settings(AlertRule("errors", "error_rate > 2%", notify=("ops",))))
    assert (rule.settings.name, str(rule.condition)) == ("errors", "error_rate > 0.02")
    assert alert_problems(Settings()) == ()


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_rules(
            settings(
                AlertRule("errors", "eror_rate > 2%", notify=("opps", "pager")),
                AlertRule("errors", "error_rate > 0", window=timedelta(0), hold_for=timedelta(seconds=-1)),
                AlertRule("no name", "p95_latency"),
            )
        )
    assert caught.value.problems == (
        "monitoring.alerts[0].when: unknown metric 'eror_rate' - did you mean 'error_rate'?",
        "monitoring.alerts[1].window: 0:00:00 is no window - give a length above zero, such as 5m",
        "monitoring.alerts[1].for: -1 day, 23:59:59 is no duration - give 0s or more",
        "monitoring.alerts[2].name: 'no name' is not a name - use A-Z a-z 0-9 . _ -",
        "monitoring.alerts[2].when: 'p95_latency' is not a condition - write one comparison such as 'error_rate > 0.02'",
        "monitoring.alerts[0].notify[0]: no channel 'opps' - did you mean 'ops'?",
        "monitoring.alerts[0].notify[1]: no channel 'pager' - there are: ops",
        "monitoring.alerts[1].name: 'errors' is taken by an earlier rule - give each rule its own name",
    )


@pytest.mark.parametrize(
    ("when", "clear", "told"),
    [
        ("error_rate > 2%", "p95_latency < 1", "it compares 'p95_latency', and 'when' 'error_rate' - compare the same metric"),
        ("error_rate > 2%", "error_rate < 3%", "'error_rate < 0.03' can hold while 'error_rate > 0.02' does"),
        ("error_rate > 2%", "error_rate > 1%", "can hold while"),
        ("error_rate >= 2%", "error_rate <= 2%", "can hold while"),
        ("total_predictions < 10", "total_predictions > 5", "write one that cannot, such as 'total_predictions > 10'"),
        ("drift.detected == 1", "drift.detected == 0", "with <, <=, > or >=, or leave 'clear' out"),
    ],
)
def test_a_condition_that_ends_nothing_is_told(when: str, clear: str, told: str) -> None:
    (line,) = alert_problems(settings(AlertRule("errors", when, clear=clear)))
    assert line.startswith("monitoring.alerts[0].clear: ")
    assert told in line


@pytest.mark.parametrize(
    ("when", "clear"),
    [("error_rate > 2%", "error_rate <= 2%"), ("error_rate >= 2%", "error_rate < 2%"), ("p95_latency < 1", "p95_latency > 2")],
)
def test_conditions_on_both_sides_are_read(when: str, clear: str) -> None:
    (rule,) = read_rules(settings(AlertRule("errors", when, clear=clear, keep=timedelta(minutes=1), no_data="keep")))
    assert rule.clear is not None
    assert (rule.clear.metric, rule.condition.metric) == (rule.condition.metric,) * 2


def test_further_keys_are_checked_in_python_too() -> None:
    rule = AlertRule("errors", "error_rate > 2%", clear="eror_rate < 1%", keep=timedelta(seconds=-1))
    assert alert_problems(settings(rule)) == (
        "monitoring.alerts[0].clear: unknown metric 'eror_rate' - did you mean 'error_rate'?",
        "monitoring.alerts[0].keep: -1 day, 23:59:59 is no duration - give 0s or more",
    )


def test_an_objective_is_checked_in_python_too() -> None:
    wrong = SloSettings(1.0, timedelta(hours=1), ("opps",), environment="prodction", min_failures=0)
    given = evolve(settings(AlertRule("slo.page", "error_rate > 2%")), environments={"production": EnvironmentSettings(Use("local"))})
    given = evolve(given, monitoring=evolve(given.monitoring, slo=wrong))
    assert alert_problems(given) == (
        "monitoring.slo.success: expected a share between 0% and 100%, both excluded, got 1",
        "monitoring.slo.over: expected a duration of 1d or more",
        "monitoring.slo.min_failures: expected 1 or more, got 0",
        "monitoring.alerts[0].name: 'slo.page' is a rule of monitoring.slo - give this one another name",
        "monitoring.slo.notify[0]: no channel 'opps' - did you mean 'ops'?",
        "monitoring.slo.environment: no environment 'prodction' - did you mean 'production'?",
    )


SERIES = [
    SeriesKey("acme", environment, model, version)
    for model, environment, version in (("a", "production", "1"), ("a", "production", "2"), ("a", "staging", "1"), ("b", "staging", "1"))
]


@pytest.mark.parametrize(
    ("chosen", "a", "c"),
    [
        ({}, ["production", "staging"], []),
        ({"environment": "staging"}, ["staging"], []),
        ({"environment": "elsewhere"}, [], []),
        ({"model": "a"}, ["production", "staging"], []),
        ({"model": "c"}, [], ["default"]),
        ({"model": "c", "environment": "production"}, [], ["production"]),
    ],
)
def test_where_a_rule_looks(chosen: dict[str, Any], a: list[str], c: list[str]) -> None:
    (rule,) = read_rules(settings(AlertRule("few", "total_predictions < 10", **chosen)))
    assert (environments_of(rule.settings, "a", SERIES), environments_of(rule.settings, "c", SERIES)) == (a, c)


def test_versions_are_measured_together_over_the_rules_window() -> None:
    sink = MemorySink()
    sink.write(
        [
            segment(1, 0, series=SERIES[0], total=8),
            segment(2, 0, series=SERIES[1], total=2, errors=1),
            segment(3, -600, series=SERIES[0], total=100, errors=100),
        ]
    )
    (rule,) = read_rules(settings(AlertRule("errors", "error_rate >= 0.1")))
    production, staging = rule.measure("a", SERIES, Reader("memory", sink), AT + timedelta(minutes=1))
    assert (production.environment, production.value, production.holds) == ("production", 0.1, True)
    assert (staging.environment, staging.value, staging.holds) == ("staging", None, False)
