"""Alert rules as a Prometheus rule file: PromQL over what this sink exposes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import MonitoringError
from mlops_core.records import LIVE_METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.records import RuleSpec, Threshold

__all__ = ["write_rules"]

_HEAD: Final = "# Written by `mlops monitor rules` from the alert rules of mlops.yaml: change them there. For Prometheus 2.42 or later.\n"
_BY: Final = "by (tenant, environment, model)"
_BY_LE: Final = "by (tenant, environment, model, le)"
_TOTAL: Final = "mlops_predictions_total"
_FAILED: Final = "mlops_predictions_failed_total"
_LATENCY: Final = "mlops_prediction_latency_seconds"
_QUANTILES: Final = {"p50_latency": 0.5, "p95_latency": 0.95, "p99_latency": 0.99}
_COUNTS: Final = {"total_predictions": _TOTAL, "total_errors": _FAILED}
_OPPOSITE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_FIGURE: Final = '{{ $value | printf "%.4g" }}'
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_LONGEST: Final = timedelta(days=36_500)


def write_rules(specs: Sequence[RuleSpec], *, native: bool = False) -> str:
    """One group of alerts, in the order of the rules; with ``native`` they take latencies from native histograms where there are any.

    Raises:
        MonitoringError: Of a rule Prometheus cannot say the length of a window, or a name.
    """
    if not specs:
        return f"{_HEAD}groups: []\n"
    return f"{_HEAD}groups:\n  - name: mlops\n    rules:\n{''.join(_alert(spec, native=native) for spec in specs)}"


def _alert(spec: RuleSpec, *, native: bool) -> str:
    lines = [f"# {spec.name}: {told}" for told in _differences(spec)]
    condition, *others = _parts(spec, _measure(spec, native=native))
    lines += [f"- alert: {_quoted(spec, spec.name)}", "  expr: |-", f"    {condition}", *(f"    or {part}" for part in others)]
    for key, length in (("for", spec.hold_for), ("keep_firing_for", spec.keep)):
        if length:
            lines.append(f"  {key}: {_span(spec, length)}")
    summary = f"{{{{ $labels.model }}}} in {{{{ $labels.environment }}}}: {spec.name}: {spec.when} (measured: {_FIGURE})"
    lines += ["  annotations:", f"    summary: {json.dumps(summary)}"]
    return "".join(f"      {line}\n" for line in lines)


def _differences(spec: RuleSpec) -> Iterator[str]:
    """What Prometheus does otherwise than `mlops watch`."""
    if spec.when.operator in {"==", "!="} and spec.when.bound and spec.when.metric in {*_COUNTS, *_QUANTILES, "throughput"}:
        yield f"Prometheus extrapolates and interpolates, so that '{spec.when.operator}' compares an estimate"
    if spec.when.metric.removeprefix("live.") in LIVE_METRICS:
        yield "what comes of matched outcomes stays in the sink that matches them; here only what is recorded by that name is compared"
    if spec.no_data == "keep" and spec.hold_for and spec.when.metric not in _COUNTS:
        yield "without data Prometheus keeps what fires, but begins anew with what is pending"


def _parts(spec: RuleSpec, figure: str) -> Iterator[str]:
    """What makes the alert: the condition; else that it fires and is not cleared; else that there is no data, and what that means."""
    yield _compared(figure, spec.when.operator, spec.when)
    firing = f"group {_BY} (ALERTS{{{_matchers(spec, alertname=spec.name, alertstate='firing')}}})"
    if spec.clear is not None:
        yield f"({_compared(figure, _OPPOSITE[spec.clear.operator], spec.clear)} and {firing})"
    if spec.when.metric in _COUNTS:  # none counted is zero
        return
    if spec.no_data == "keep":
        yield f"({firing} unless {figure}) * NaN"
    elif spec.no_data == "alert":
        yield f"(group {_BY} ({_selected(spec, _TOTAL)}) unless {figure}) * NaN"
        if spec.model is not None:
            yield f"{_never(spec)} * NaN"


def _compared(figure: str, operator: str, threshold: Threshold) -> str:
    return f"{figure} {operator} {threshold.bound!r}"


def _measure(spec: RuleSpec, *, native: bool) -> str:
    """The metric by tenant, environment and model, in parentheses; nothing where there is no data."""
    metric, window = spec.when.metric, _span(spec, spec.window)

    def rate(name: str, by: str = _BY) -> str:
        return f"sum {by} (rate({_selected(spec, name)}[{window}]))"

    if metric in _COUNTS:
        counted = f"sum {_BY} (increase({_selected(spec, _COUNTS[metric])}[{window}]))"
        return f"({counted})" if spec.model is None else f"({counted} or {_never(spec)} * 0)"
    if metric in _QUANTILES:
        classic, fine = (
            f"histogram_quantile({_QUANTILES[metric]}, {buckets})" for buckets in (rate(f"{_LATENCY}_bucket", _BY_LE), rate(_LATENCY))
        )
        return f"(({fine} or {classic}) >= 0)" if native else f"({classic} >= 0)"
    mean = f"{rate(f'{_LATENCY}_sum')} / ({rate(f'{_LATENCY}_count')} > 0)"
    if native:
        mean = f"histogram_sum({rate(_LATENCY)}) / (histogram_count({rate(_LATENCY)}) > 0) or {mean}"
    failures = f"{rate(_FAILED)} / ({rate(_TOTAL)} > 0)"
    figures = {
        "error_rate": f"({failures})",
        "success_rate": f"(1 - {failures})",
        "avg_latency": f"({mean})",
        "throughput": f"({rate(_TOTAL)} > 0)",
    }
    return figures[metric] if metric in figures else _last(spec)


def _last(spec: RuleSpec) -> str:
    """What was recorded last within the window, of all versions; of two at the same moment the larger, as when windows are merged."""
    when = _selected(spec, "mlops_value_timestamp_seconds", name=spec.when.metric)
    newest = f"{when} == on (tenant, environment, model) group_left () max {_BY} ({when} > time() - {spec.window.total_seconds()!r})"
    return f"(max {_BY} ({_selected(spec, 'mlops_value', name=spec.when.metric)} and ({newest})))"


def _never(spec: RuleSpec) -> str:
    """One where the rule's model was not even exposed in the window."""
    return f"absent_over_time({_TOTAL}{{{_matchers(spec, tenant=spec.tenant)}}}[{_span(spec, spec.window)}])"


def _selected(spec: RuleSpec, metric: str, **labels: str) -> str:
    matchers = _matchers(spec, **labels)
    return f"{metric}{{{matchers}}}" if matchers else metric


def _matchers(spec: RuleSpec, **labels: str) -> str:
    places = {"environment": spec.environment, "model": spec.model}
    return ", ".join(f"{name}={_quoted(spec, value)}" for name, value in {**labels, **places}.items() if value is not None)


def _quoted(spec: RuleSpec, text: str) -> str:
    """A string of PromQL, and of YAML."""
    if not text.isprintable():
        raise MonitoringError(f"rule {spec.name[:40]!r}: {text[:40]!r} is no name that Prometheus can be told - correct the rule")
    return json.dumps(text, ensure_ascii=False)


def _span(spec: RuleSpec, length: timedelta) -> str:
    """A length of time in the largest unit that fits."""
    count = length // timedelta(milliseconds=1)
    if not timedelta(milliseconds=1) <= length <= _LONGEST:
        raise MonitoringError(f"rule {spec.name}: {length} cannot be told to Prometheus - give 1ms to {_LONGEST.days}d")
    return next(f"{count // size}{unit}" for unit, size in _UNITS if count % size == 0)
