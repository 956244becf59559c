"""Alert rules as a Prometheus rule file: its structure. What the rules find is shown with promtool, in test_interop.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import pytest
from ruamel.yaml import YAML

from mlops_core.exceptions import MonitoringError
from mlops_core.records import BurnSpec, BurnTier, RuleSpec, Threshold
from mlops_sink_prometheus.rules import write_rules

BY = "by (tenant, environment, model)"
RATE = f"sum {BY}"
LATENCY = "mlops_prediction_latency_seconds"


def rule(when: str, **fields: Any) -> dict[str, Any]:
    """The rule as YAML reads it."""
    (found,) = read(RuleSpec(fields.pop("name", "errors"), "acme", Threshold.parse(when), **fields))
    return found


def read(*specs: RuleSpec) -> list[dict[str, Any]]:
    document = YAML(typ="safe").load(write_rules(specs))
    (group,) = document["groups"]
    assert group["name"] == "mlops"
    return list(group["rules"])


def test_a_plain_rule_has_no_more_than_it_says() -> None:
    assert rule("total_errors > 5") == {
        "alert": "errors",
        "expr": f"(sum {BY} (increase(mlops_predictions_failed_total[5m]))) > 5.0",
        "annotations": {
            "summary": '{{ $labels.model }} in {{ $labels.environment }}: errors: total_errors > 5 (measured: {{ $value | printf "%.4g" }})'
        },
    }


@pytest.mark.parametrize(
    ("when", "expression"),
    [
        (
            "error_rate > 2%",
            f"(sum {BY} (rate(mlops_predictions_failed_total[5m])) / (sum {BY} (rate(mlops_predictions_total[5m])) > 0)) > 0.02",
        ),
        (
            "success_rate < 0.9",
            f"(1 - sum {BY} (rate(mlops_predictions_failed_total[5m])) / (sum {BY} (rate(mlops_predictions_total[5m])) > 0)) < 0.9",
        ),
        ("throughput <= 1", f"(sum {BY} (rate(mlops_predictions_total[5m])) > 0) <= 1.0"),
        (
            "p99_latency >= .3",
            f"(histogram_quantile(0.99, {RATE[:-1]}, le) (rate({LATENCY}_bucket[5m]))) >= 0) >= 0.3",
        ),
        (
            "avg_latency != 0",
            f"({RATE} (rate({LATENCY}_sum[5m])) / ({RATE} (rate({LATENCY}_count[5m])) > 0)) != 0.0",
        ),
    ],
)
def test_each_metric_is_taken_over_all_versions(when: str, expression: str) -> None:
    assert rule(when)["expr"] == expression


def test_a_rule_looks_where_it_says() -> None:
    expression = rule("throughput > 1", model="tickets", environment="production", window=timedelta(hours=36))["expr"]
    assert expression == f'(sum {BY} (rate(mlops_predictions_total{{environment="production", model="tickets"}}[36h])) > 0) > 1.0'


def test_lengths_of_time() -> None:
    found = rule("total_errors > 5", window=timedelta(seconds=90), hold_for=timedelta(minutes=2), keep=timedelta(days=1, milliseconds=5))
    assert "[90s]" in found["expr"]
    assert (found["for"], found["keep_firing_for"]) == ("2m", "86400005ms")


@pytest.mark.parametrize("window", [timedelta(microseconds=5), timedelta(days=40_000)])
def test_a_length_that_prometheus_does_not_know_is_one_line(window: timedelta) -> None:
    with pytest.raises(MonitoringError, match=r"rule errors: .* cannot be told to Prometheus - give 1ms to 36500d"):
        rule("total_errors > 5", window=window)


@pytest.mark.parametrize(("model", "written"), [('a"b\\c', r'model="a\"b\\c"'), ("naïve: {{x}} #", 'model="naïve: {{x}} #"')])
def test_names_are_escaped(model: str, written: str) -> None:
    assert written in rule("throughput > 1", model=model)["expr"]


def test_a_name_that_is_no_text_is_one_line() -> None:
    with pytest.raises(MonitoringError, match=r"rule 'errors': 'a\\nb' is no name that Prometheus can be told"):
        rule("throughput > 1", model="a\nb")


@pytest.mark.parametrize(
    ("when", "no_data", "hold_for", "said"),
    [
        ("total_errors == 5", "ok", 0, "# errors: Prometheus extrapolates"),
        ("total_errors != 0", "ok", 0, ""),
        ("error_rate == 1", "ok", 0, ""),
        ("custom.state == 1", "ok", 0, ""),
        ("p50_latency != 1", "ok", 0, "# errors: Prometheus extrapolates"),
        ("error_rate > 1%", "keep", 60, "# errors: without data"),
        ("error_rate > 1%", "keep", 0, ""),
        ("live.accuracy < 0.9", "ok", 0, "# errors: what comes of matched outcomes stays"),
        ("live.outcomes < 10", "ok", 0, ""),
    ],
)
def test_what_prometheus_does_otherwise_is_a_comment(when: str, no_data: Any, hold_for: int, said: str) -> None:
    spec = RuleSpec("errors", "acme", Threshold.parse(when), no_data=no_data, hold_for=timedelta(seconds=hold_for))
    comments = [line.strip() for line in write_rules([spec]).splitlines()[1:] if line.strip().startswith("#")]
    assert [one.startswith(said) for one in comments] == ([True] if said else [])


def test_without_rules_there_is_an_empty_file() -> None:
    assert YAML(typ="safe").load(write_rules([])) == {"groups": []}


def test_native_histograms_are_asked_first_where_they_are_offered() -> None:
    def expression(when: str) -> str:
        document = YAML(typ="safe").load(write_rules([RuleSpec("slow", "acme", Threshold.parse(when))], native=True))
        return str(document["groups"][0]["rules"][0]["expr"])

    fine = f"{RATE} (rate({LATENCY}[5m]))"
    assert f"((histogram_quantile(0.5, {fine}) or histogram_quantile(0.5, " in expression("p50_latency > 1")
    assert f"(histogram_sum({fine}) / (histogram_count({fine}) > 0) or {RATE} (rate({LATENCY}_sum[5m])) / " in expression("avg_latency > 1")
    assert LATENCY not in expression("error_rate > 1%")


def test_an_objective_is_a_page_and_a_ticket_with_their_severity() -> None:
    tier = BurnTier(14.4, timedelta(hours=1), timedelta(minutes=5))
    kinds: tuple[tuple[str, Literal["page", "ticket"], str | None], ...] = (
        ("slo.page", "page", None),
        ("slo.ticket", "ticket", "slo.page"),
    )
    page, ticket = (BurnSpec(name, "acme", 0.999, (tier,), 0.8, 10, severity, beside, model="tickets") for name, severity, beside in kinds)
    (group,) = YAML(typ="safe").load(write_rules([page, ticket]))["groups"]
    assert [(one["alert"], one["labels"]) for one in group["rules"]] == [
        ("slo.page", {"severity": "page"}),
        ("slo.ticket", {"severity": "ticket"}),
    ]
    assert 'unless group by (tenant, environment, model) (ALERTS{alertname="slo.page"' in group["rules"][1]["expr"]
    assert "unless" not in group["rules"][0]["expr"]
    assert all('{model="tickets"}[1h]' in one["expr"] and '{model="tickets"}[5m]' in one["expr"] for one in group["rules"])
    summary = "{{ $labels.model }} in {{ $labels.environment }}: slo.page: the error budget of 99.9% is spent too fast (burn rate: "
    assert group["rules"][0]["annotations"]["summary"].startswith(summary)
