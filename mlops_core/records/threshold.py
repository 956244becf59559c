"""A condition on one figure of a window: ``error_rate > 0.02``."""

from __future__ import annotations

import difflib
import math
import operator
import re
from typing import Any, Final, Literal

from attrs import frozen

from mlops_core.records.record import Record

__all__ = [
    "COUNTERS",
    "LIVE",
    "LOG_DROPPED",
    "METRICS",
    "SAMPLE_DROPPED",
    "SHADOW_DROPPED",
    "VALUE_FAMILIES",
    "Threshold",
    "check_value_name",
]

METRICS: Final = (
    "avg_latency",
    "error_rate",
    "p50_latency",
    "p95_latency",
    "p99_latency",
    "success_rate",
    "throughput",
    "total_errors",
    "total_predictions",
)
LIVE: Final = "live"
VALUE_FAMILIES: Final = ("drift", LIVE, "custom")
"""First parts of recorded values: drift checks, accuracy against ground truth, a caller's own."""
SAMPLE_DROPPED: Final = "custom.sample_dropped"
"""The recorded value that counts rows which the bound on memory kept out of the sample."""
LOG_DROPPED: Final = "custom.log_dropped"
"""The same of the prediction log."""
SHADOW_DROPPED: Final = "custom.shadow_dropped"
"""The same of copies of requests for which a shadow had no time; every segment of a shadow has it, and no other."""
COUNTERS: Final = frozenset({SAMPLE_DROPPED, LOG_DROPPED, SHADOW_DROPPED})
"""Recorded values of which the sum says something, and the last does not."""

_SYNTAX: Final = re.compile(r"\s*([A-Za-z][\w.-]*)\s*(<=|>=|==|!=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)\s*", re.ASCII)
_VALUE: Final = re.compile(r"[A-Za-z]\w*(?:\.[A-Za-z0-9_-]+)+", re.ASCII)
_LONGEST: Final = 200
_OPERATORS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}


@frozen
class Threshold(Record):
    """``metric operator bound``. Rates are fractions, latencies seconds; ``2%`` is read as 0.02."""

    metric: str
    operator: Literal["<", "<=", ">", ">=", "==", "!="]
    bound: float

    @classmethod
    def parse(cls, text: Any) -> Threshold:
        """Read a condition.

        Raises:
            ValueError: It is not ``metric operator number``, or nobody knows the metric; one line with the nearest name.
        """
        found = _SYNTAX.fullmatch(text) if isinstance(text, str) and len(text) <= _LONGEST else None
        if found is None:
            raise ValueError(f"{str(text)[:40]!r} is not a condition - write one comparison such as 'error_rate > 0.02'")
        metric, sign, number, percent = found.groups()
        if metric not in METRICS:
            check_value_name(metric)
        bound = float(number) / (100 if percent else 1)
        if not math.isfinite(bound):
            raise ValueError(f"{number} is too large a bound - write a finite number")
        return cls(metric, sign, bound)  # type: ignore[arg-type]  # the pattern allows these operators only

    def holds(self, value: float | None) -> bool:
        """Whether the value meets the condition; without data it does not."""
        return value is not None and bool(_OPERATORS[self.operator](value, self.bound))

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {self.bound:g}"


def check_value_name(name: Any) -> str:
    """Answer the name of a recorded value, such as ``drift.ks.p_value``, if it is one.

    Raises:
        ValueError: It is not; one line with the nearest metric.
    """
    text = str(name)
    family, dot, rest = text.partition(".")
    if isinstance(name, str) and family in VALUE_FAMILIES and len(text) <= _LONGEST and _VALUE.fullmatch(text):
        return text
    near = difflib.get_close_matches(text[:_LONGEST], METRICS, 1)
    if dot and not near:
        near = [f"{known}.{rest}" for known in difflib.get_close_matches(family, VALUE_FAMILIES, 1)]
    hint = f"did you mean {near[0][:60]!r}?" if near else f"known are {', '.join(METRICS)}, and drift.*, live.*, custom.*"
    raise ValueError(f"unknown metric {text[:60]!r} - {hint}")
