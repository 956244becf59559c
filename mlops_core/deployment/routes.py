"""Routes as values: how shares are checked, mixed and taken back.

The name of a variant is ``number-version``: the number of the deployment that it belongs to comes first, so that the routes alone tell
whose they are while the registry cannot be reached. ``7r-1.0.0``: deployment 7 brings an earlier version back, so that what was routed just
before it was taken back and is not returned to.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from mlops_core.exceptions import DeploymentError, checks_input
from mlops_core.records import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["check_weights", "heaviest", "mix", "number_of", "restored", "shares_of", "variants_of"]

_TOLERANCE: Final = 1e-9
_RETURNS: Final = "r"


@checks_input
def check_weights(weights: Any) -> dict[str, float]:
    """Weights by version, as given by a person.

    Raises:
        DeploymentError: No mapping, a weight that is no fraction, or a sum that is not 1.
    """
    if not isinstance(weights, dict) or not weights:
        raise DeploymentError('weights: expected a mapping of versions to fractions - give {"1.0.0": 0.9, "2.0.0": 0.1}')
    for version, weight in weights.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or not 0 <= weight <= 1:
            raise DeploymentError(f"weights: {version} has {weight!r} - give a fraction between 0 and 1, such as 0.1")
    total = math.fsum(weights.values())
    if abs(total - 1) > _TOLERANCE:
        shares = ", ".join(f"{version}: {weight:g}" for version, weight in weights.items())
        raise DeploymentError(f"weights: they sum to {total:g}, not 1 - {shares}: give fractions that sum to 1")
    return {version: float(weight) for version, weight in weights.items()}


def variants_of(number: int, weights: Mapping[str, float], *, returns: bool = False) -> tuple[Variant, ...]:
    """The variants of a deployment, in the order given; ``returns``: it brings back what an earlier one served."""
    head = f"{number}{_RETURNS if returns else ''}"
    return tuple(Variant(f"{head}-{version}", version, weight) for version, weight in weights.items())


def shares_of(variants: Sequence[Variant]) -> dict[str, float]:
    """Shares by version: what two deployments of the same have in common."""
    return {variant.version: variant.weight for variant in variants}


def number_of(variant: Variant) -> int:
    """The number of the deployment that a variant belongs to; 0 for one that another program routed."""
    head = variant.name.partition("-")[0].removesuffix(_RETURNS)
    return int(head) if head.isascii() and head.isdigit() else 0


def heaviest(variants: Sequence[Variant]) -> str:
    """The version with the largest share; the first of equals."""
    return max(variants, key=lambda one: one.weight).version


def mix(live: Sequence[Variant], new: Sequence[Variant], weight: float) -> tuple[Variant, ...]:
    """Routes in which ``new`` takes ``weight`` of the requests and ``live`` the rest; shares of zero are left out."""
    scaled = [(one, one.weight * (1 - weight)) for one in live] + [(one, one.weight * weight) for one in new]
    return tuple(evolve(one, weight=share) for one, share in scaled if share > 0)


def restored(routes: Sequence[Variant], previous: Sequence[Variant], number: int) -> tuple[Variant, ...]:
    """What served before deployment ``number``, as far as a deployer alone can tell; none if it cannot.

    Of the routes as they are, and then of those before, the first that has variants of earlier deployments: these, made to sum to 1. What
    was routed before a deployment that brings another back was taken back itself.
    """
    returns = any(number_of(one) == number and one.name.partition("-")[0].endswith(_RETURNS) for one in routes)
    for candidates in (routes,) if returns else (routes, previous):
        kept = [one for one in candidates if 0 < number_of(one) < number]
        total = math.fsum(one.weight for one in kept)
        if total > 0:
            return tuple(evolve(one, weight=one.weight / total) for one in kept)
    return ()
