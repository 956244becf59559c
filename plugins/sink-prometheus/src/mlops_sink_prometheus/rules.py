"""Alert rules as a Prometheus rule file: PromQL over what this sink exposes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mlops_core.records import LIVE_METRICS, BurnSpec, RuleSpec
from mlops_sink_prometheus.burns import burn_parts
from mlops_sink_prometheus.promql import BY, FAILED, LATENCY, TOTAL, error_rate, firing, matchers, quoted, selected, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.records import Threshold

__all__ = ["write_rules"]

_USUAL: Final = timedelta(minutes=1)  # between scrapes, where Prometheus is told nothing
_FEW_SCRAPES: Final = 4
_HEAD: Final = "# Written by `mlops monitor rules` from the alert rules of mlops.yaml: change them there. For Prometheus 2.42 or later.\n"
_BY_LE: Final = "by (tenant, environment, model, le)"
_QUANTILES: Final = {"p50_latency": 0.5, "p95_latency": 0.95, "p99_latency": 0.99}
_COUNTS: Final = {"total_predictions": TOTAL, "total_errors": FAILED}
_OPPOSITE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_FIGURE: Final = '{{ $value | printf "%.4g" }}'


def write_rules(specs: Sequence[RuleSpec | BurnSpec], *, native: bool = False) -> str:
    """One group of alerts, in the order of the rules; with ``native`` they take latencies from native histograms where there are any.

    Raises:
        MonitoringError: Of a rule Prometheus cannot say the length of a window, or a name.
    """
    if not specs:
        return f"{_HEAD}groups: []\n"
    alerts = (_burn(spec) if isinstance(spec, BurnSpec) else _alert(spec, native=native) for spec in specs)
    return f"{_HEAD}groups:\n  - name: mlops\n    rules:\n{''.join(alerts)}"


def _alert(spec: RuleSpec, *, native: bool) -> str:
    comments = [f"# {spec.name}: {told}" for told in _differences(spec)]
    lengths = {"for": spec.hold_for, "keep_firing_for": spec.keep}
    details = [f"{key}: {span(spec, length)}" for key, length in lengths.items() if length]
    said = f"{spec.when} (measured: {_FIGURE})"
    return _written(spec, comments, list(_parts(spec, _measure(spec, native=native))), details, said)


def _burn(spec: BurnSpec) -> str:
    said = f"the error budget of {spec.success * 100:.6g}% is spent too fast (burn rate: {_FIGURE})"
    comments = [f"# {spec.name}: {told}" for told in _short(min(tier.short for tier in spec.tiers))]
    return _written(spec, comments, list(burn_parts(spec)), [f"labels: {{severity: {spec.severity}}}"], said)


def _written(spec: RuleSpec | BurnSpec, comments: Sequence[str], parts: Sequence[str], details: Sequence[str], said: str) -> str:
    condition, *others = parts
    summary = f"{{{{ $labels.model }}}} in {{{{ $labels.environment }}}}: {spec.name}: {said}"
    lines = [*comments, f"- alert: {quoted(spec, spec.name)}", "  expr: |-", f"    {condition}", *(f"    or {part}" for part in others)]
    lines += [*(f"  {detail}" for detail in details), "  annotations:", f"    summary: {json.dumps(summary)}"]
    return "".join(f"      {line}\n" for line in lines)


def _differences(spec: RuleSpec) -> Iterator[str]:
    """What Prometheus does otherwise than `mlops watch`."""
    if spec.when.operator in {"==", "!="} and spec.when.bound and spec.when.metric in {*_COUNTS, *_QUANTILES, "throughput"}:
        yield f"Prometheus extrapolates and interpolates, so that '{spec.when.operator}' compares an estimate"
    if spec.when.metric.removeprefix("live.") in LIVE_METRICS:
        yield "what comes of matched outcomes stays in the sink that matches them; here only what is recorded by that name is compared"
    yield from _short(spec.window)
    if spec.no_data == "keep" and spec.hold_for and spec.when.metric not in _COUNTS:
        yield "without data Prometheus keeps what fires, but begins anew with what is pending"


def _short(window: timedelta) -> Iterator[str]:
    """A rate needs two scrapes in its window, and four to bear a lost one."""
    if window < _FEW_SCRAPES * _USUAL:
        yield f"scrape at least every {window.total_seconds() / _FEW_SCRAPES:g}s, or the shortest window holds too few scrapes to fire"


def _parts(spec: RuleSpec, figure: str) -> Iterator[str]:
    """What makes the alert: the condition; else that it fires and is not cleared; else that there is no data, and what that means."""
    yield _compared(figure, spec.when.operator, spec.when)
    fires = firing(spec, spec.name)
    if spec.clear is not None:
        yield f"({_compared(figure, _OPPOSITE[spec.clear.operator], spec.clear)} and {fires})"
    if spec.when.metric in _COUNTS:  # none counted is zero
        return
    if spec.no_data == "keep":
        yield f"({fires} unless {figure}) * NaN"
    elif spec.no_data == "alert":
        yield f"(group {BY} ({selected(spec, TOTAL)}) unless {figure}) * NaN"
        if spec.model is not None:
            yield f"{_never(spec)} * NaN"


def _compared(figure: str, operator: str, threshold: Threshold) -> str:
    return f"{figure} {operator} {threshold.bound!r}"


def _measure(spec: RuleSpec, *, native: bool) -> str:
    """The metric by tenant, environment and model, in parentheses; nothing where there is no data."""
    metric, window = spec.when.metric, span(spec, spec.window)

    def rate(name: str, by: str = BY) -> str:
        return f"sum {by} (rate({selected(spec, name)}[{window}]))"

    if metric in _COUNTS:
        counted = f"sum {BY} (increase({selected(spec, _COUNTS[metric])}[{window}]))"
        return f"({counted})" if spec.model is None else f"({counted} or {_never(spec)} * 0)"
    if metric in _QUANTILES:
        classic, fine = (
            f"histogram_quantile({_QUANTILES[metric]}, {buckets})" for buckets in (rate(f"{LATENCY}_bucket", _BY_LE), rate(LATENCY))
        )
        return f"(({fine} or {classic}) >= 0)" if native else f"({classic} >= 0)"
    mean = f"{rate(f'{LATENCY}_sum')} / ({rate(f'{LATENCY}_count')} > 0)"
    if native:
        mean = f"histogram_sum({rate(LATENCY)}) / (histogram_count({rate(LATENCY)}) > 0) or {mean}"
    failures = error_rate(spec, window)
    figures = {
        "error_rate": f"({failures})",
        "success_rate": f"(1 - {failures})",
        "avg_latency": f"({mean})",
        "throughput": f"({rate(TOTAL)} > 0)",
    }
    return figures[metric] if metric in figures else _last(spec)


def _last(spec: RuleSpec) -> str:
    """What was recorded last within the window, of all versions; of two at the same moment the larger, as when windows are merged."""
    when = selected(spec, "mlops_value_timestamp_seconds", name=spec.when.metric)
    newest = f"{when} == on (tenant, environment, model) group_left () max {BY} ({when} > time() - {spec.window.total_seconds()!r})"
    return f"(max {BY} ({selected(spec, 'mlops_value', name=spec.when.metric)} and ({newest})))"


def _never(spec: RuleSpec) -> str:
    """One where the rule's model was not even exposed in the window."""
    return f"absent_over_time({TOTAL}{{{matchers(spec, tenant=spec.tenant)}}}[{span(spec, spec.window)}])"
