"""Alert rules as another system is told of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from attrs import frozen

from mlops_core.records.record import Record
from mlops_core.records.threshold import Threshold

__all__ = ["BurnSpec", "BurnTier", "RuleSpec"]


@frozen
class RuleSpec(Record):
    """One rule of ``monitoring.alerts``, checked and with its defaults.

    It looks at every model and environment (None) or at the named one, over all versions together. It opens where ``when`` holds over
    ``window`` for ``hold_for``, and ends once ``clear`` (None: that ``when`` does not) holds for ``keep``. ``no_data``: a window without
    the metric is ``ok``, counts as the condition (``alert``), or changes nothing (``keep``). ``tenant`` is the project's, for a rule that
    looks where nothing was ever recorded; the rule is every tenant's.
    """

    name: str
    tenant: str
    when: Threshold
    window: timedelta = timedelta(minutes=5)
    hold_for: timedelta = timedelta(0)
    clear: Threshold | None = None
    keep: timedelta = timedelta(0)
    no_data: Literal["ok", "alert", "keep"] = "ok"
    model: str | None = None
    environment: str | None = None


@frozen
class BurnTier(Record):
    """A burn rate that is too fast where it is met over both windows; 1 spends the error budget in exactly the objective's period."""

    rate: float
    long: timedelta
    short: timedelta


@frozen
class BurnSpec(Record):
    """One of the two rules of ``monitoring.slo``: it opens where a tier is met by ``min_failures`` in its longer window.

    It goes on while a share ``ease`` of a tier's rate is met, with as many failures. ``success`` is the share of predictions that are to
    succeed. While the rule called ``beside`` fires, this one does not open, and stays as it is.
    """

    name: str
    tenant: str
    success: float
    tiers: tuple[BurnTier, ...]
    ease: float
    min_failures: int
    severity: Literal["page", "ticket"]
    beside: str | None = None
    model: str | None = None
    environment: str | None = None
