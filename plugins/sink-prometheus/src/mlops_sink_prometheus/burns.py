"""Burn rates of an error budget in PromQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_sink_prometheus.promql import BY, FAILED, error_rate, firing, selected, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.records import BurnSpec, BurnTier

__all__ = ["burn_parts"]

_ROUNDING: Final = 1e-9  # a budget of 1 - 0.999 is a little more than 0.001


def burn_parts(spec: BurnSpec) -> Iterator[str]:
    """What makes the alert: a tier that is met; else that it fires and a tier is nearly met, or another alert keeps it as it is."""
    fires = firing(spec, spec.name)
    for tier in spec.tiers:
        met = _met(spec, tier, tier.rate)
        yield f"({met})" if spec.beside is None else f"({met} unless {firing(spec, spec.beside)})"
    for tier in spec.tiers:
        yield f"({_met(spec, tier, tier.rate * spec.ease)} and {fires})"
    if spec.beside is not None:
        yield f"({_burn(spec, span(spec, spec.tiers[0].long))} and {fires} and {firing(spec, spec.beside)})"


def _met(spec: BurnSpec, tier: BurnTier, rate: float) -> str:
    """The burn rate over the longer window, where it is met over both, by enough failures."""
    long, short, least = span(spec, tier.long), span(spec, tier.short), rate * (1 - _ROUNDING)
    failures = f"sum {BY} (increase({selected(spec, FAILED)}[{long}]))"
    return f"{_burn(spec, long)} >= {least:.12g} and {_burn(spec, short)} >= {least:.12g} and {failures} >= {spec.min_failures}"


def _burn(spec: BurnSpec, window: str) -> str:
    return f"({error_rate(spec, window)} / {1 - spec.success:.9g})"
