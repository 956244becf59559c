"""Pieces of PromQL over what this sink exposes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from mlops_core.exceptions import MonitoringError

if TYPE_CHECKING:
    from mlops_core.records import BurnSpec, RuleSpec

    Spec: TypeAlias = RuleSpec | BurnSpec

__all__ = ["BY", "FAILED", "LATENCY", "TOTAL", "error_rate", "firing", "matchers", "quoted", "selected", "span"]

BY: Final = "by (tenant, environment, model)"
TOTAL: Final = "mlops_predictions_total"
FAILED: Final = "mlops_predictions_failed_total"
LATENCY: Final = "mlops_prediction_latency_seconds"
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_LONGEST: Final = timedelta(days=36_500)


def error_rate(spec: Spec, window: str) -> str:
    """The share of failures; nothing where nothing was predicted."""
    failed, total = (f"sum {BY} (rate({selected(spec, name)}[{window}]))" for name in (FAILED, TOTAL))
    return f"{failed} / ({total} > 0)"


def firing(spec: Spec, name: str) -> str:
    """One where an alert fired when it was evaluated last."""
    return f"group {BY} (ALERTS{{{matchers(spec, alertname=name, alertstate='firing')}}})"


def selected(spec: Spec, metric: str, **labels: str) -> str:
    """A metric where the rule looks."""
    found = matchers(spec, **labels)
    return f"{metric}{{{found}}}" if found else metric


def matchers(spec: Spec, **labels: str) -> str:
    """What selects the rule's place, and these labels."""
    places = {"environment": spec.environment, "model": spec.model}
    return ", ".join(f"{name}={quoted(spec, value)}" for name, value in {**labels, **places}.items() if value is not None)


def quoted(spec: Spec, text: str) -> str:
    """A string of PromQL, and of YAML; raises ``MonitoringError`` for what is no text."""
    if not text.isprintable():
        raise MonitoringError(f"rule {spec.name[:40]!r}: {text[:40]!r} is no name that Prometheus can be told - correct the rule")
    return json.dumps(text, ensure_ascii=False)


def span(spec: Spec, length: timedelta) -> str:
    """A length of time in the largest unit that fits; raises ``MonitoringError`` for one that Prometheus does not know."""
    count = length // timedelta(milliseconds=1)
    if not timedelta(milliseconds=1) <= length <= _LONGEST:
        raise MonitoringError(f"rule {spec.name}: {length} cannot be told to Prometheus - give 1ms to {_LONGEST.days}d")
    return next(f"{count // size}{unit}" for unit, size in _UNITS if count % size == 0)
