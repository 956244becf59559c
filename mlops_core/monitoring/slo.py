"""Alerts on how fast a service-level objective's error budget is spent.

After "The Site Reliability Workbook" (Beyer, Murphy, Rensin, Kawahara, Thorne: O'Reilly 2018), chapter 5, "Alerting on SLOs", section
"Multiwindow, Multi-Burn-Rate Alerts". A burn rate of 1 spends the budget, the failures that the objective allows, in exactly the period.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from attrs import define, field, frozen

from mlops_core.config.alerts import PAGE, TICKET
from mlops_core.config.settings import SloSettings
from mlops_core.monitoring.incidents import Measured
from mlops_core.monitoring.reading import Reader
from mlops_core.monitoring.rules import environments_of
from mlops_core.records import BurnSpec, BurnTier, SeriesKey, Window
from mlops_core.structure import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Objective", "Tier", "burn_specs", "tiers_of"]

_EASED: Final = 0.8  # of a rate: what fires goes on down to here, so that noise around the rate does not open it anew
_ROUNDING: Final = 1e-9  # a budget of 1 - 0.999 is a little more than 0.001


@frozen
class Tier:
    """A burn rate that is too fast where it is met over both windows: ``long`` says that it matters, ``short`` that it still goes on."""

    rate: float
    long: timedelta
    short: timedelta

    def __str__(self) -> str:
        return f"{self.rate:g}x over {duration_text(self.long)} and {duration_text(self.short)}"


def tiers_of(period: timedelta) -> tuple[Tier, Tier, Tier]:
    """The workbook's, which are for 30 days: 14.4 over 1 h and 5 min, 6 over 6 h and 30 min, 1 over 3 d and 6 h.

    For another period the windows are as much longer or shorter as it is, so that a tier always means the same share of the budget: 2, 5
    and 10 percent. The workbook's windows with rates for another period would alert below a rate of 1, where nothing is at stake.
    """
    made = [Tier(rate, period / share, period / share / 12) for rate, share in ((14.4, 720), (6.0, 120), (1.0, 10))]
    return made[0], made[1], made[2]


def burn_specs(slo: SloSettings, tenant: str) -> tuple[BurnSpec, BurnSpec]:
    """Both rules of an objective, as other systems are told of them."""
    fast, medium, slow = (BurnTier(tier.rate, tier.long, tier.short) for tier in tiers_of(slo.over))

    def spec(name: str, severity: Literal["page", "ticket"], *tiers: BurnTier, beside: str | None = None) -> BurnSpec:
        return BurnSpec(name, tenant, slo.success, tiers, _EASED, slo.min_failures, severity, beside, slo.model, slo.environment)

    return spec(PAGE, "page", fast, medium), spec(TICKET, "ticket", slow, beside=PAGE)


@define
class _Burns:
    """Burn rates of some series up to now, each window read once, when it is first asked for."""

    settings: SloSettings
    reader: Reader
    keys: list[SeriesKey]
    now: datetime
    _windows: dict[timedelta, Window] = field(factory=dict, init=False)

    def rate(self, length: timedelta) -> float | None:
        """None without predictions."""
        failed = self.window(length).error_rate
        return None if failed is None else failed / (1 - self.settings.success)

    def window(self, length: timedelta) -> Window:
        if length not in self._windows:
            self._windows[length] = self.reader.window(self.keys, self.now - length, self.now)
        return self._windows[length]

    def burns(self, tier: Tier, ease: float = 1.0) -> bool:
        """Whether the rate, or this share of it, is met over both windows by enough failures; the long one is read only if need be."""
        least = tier.rate * ease * (1 - _ROUNDING)
        return all((self.rate(length) or 0.0) >= least for length in (tier.short, tier.long)) and (
            self.window(tier.long).errors >= self.settings.min_failures
        )


@frozen
class Objective:
    """``monitoring.slo`` as two rules per model and environment: a page where the budget is spent fast, a ticket where slowly."""

    settings: SloSettings

    def measure(self, model: str, series: Sequence[SeriesKey], reader: Reader, now: datetime) -> Iterator[Measured]:
        """Both rules, per environment. While there is a page, no ticket is opened beside it."""
        fast, medium, slow = tiers_of(self.settings.over)
        for environment in environments_of(self.settings, model, series):
            keys = [key for key in series if (key.model, key.environment) == (model, environment)]
            burns = _Burns(self.settings, reader, keys, now)
            yield self._judge(PAGE, environment, burns, (fast, medium))
            yield self._judge(TICKET, environment, burns, (slow,), beside=PAGE)

    def _judge(self, rule: str, environment: str, burns: _Burns, tiers: tuple[Tier, ...], *, beside: str = "") -> Measured:
        met = next((tier for tier in tiers if burns.burns(tier)), None)
        promised = f"{self.settings.success * 100:.6g}% over {duration_text(self.settings.over)}"
        return Measured(
            rule=rule,
            environment=environment,
            condition=f"budget of {promised} is spent at {', or '.join(map(str, tiers))}",
            value=burns.rate(tiers[0].short if met is None else met.long),
            holds=met is not None,
            cleared=met is None and not any(burns.burns(tier, _EASED) for tier in tiers),
            notify=self.settings.notify,
            detail=str if met is None else partial(self._told, burns, met),
            severity="page" if rule == PAGE else "ticket",
            beside=beside,
        )

    def _told(self, burns: _Burns, tier: Tier) -> str:
        """How fast it burns and what is left, for people; the whole period is read for this alone."""
        long, short = (f"{burns.rate(length):.3g}x over {duration_text(length)}" for length in (tier.long, tier.short))
        spent = burns.rate(self.settings.over) or 0.0
        budget = f"{1 - spent:.0%} of the budget is left" if spent <= 1 else f"the budget is spent {spent:.3g} times"
        return f"measured: {long}, {short}; {budget}"
