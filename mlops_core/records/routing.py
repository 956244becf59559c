"""Which variant answers a request: pure functions beside the records, so that every server routes alike."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mlops_core.exceptions import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.records.deployment import Variant

__all__ = ["check_routes", "pick", "salt_of", "share_of"]

_TOLERANCE = 1e-6


def share_of(unit: str, variants: Sequence[Variant]) -> float:
    """A unit's fixed place in [0, 1), from a hash of the unit salted with the variants' names.

    The names change with every rollout and stay during its steps: units fall anew each time, and a change of weights moves only those
    that it must.
    """
    digest = hashlib.blake2b(f"{salt_of(variants)}\0{unit}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def salt_of(variants: Sequence[Variant]) -> str:
    """What tells a rollout from all others, and is the same in each of its steps."""
    return "\0".join(variant.name for variant in variants)


def pick(variants: Sequence[Variant], share: float) -> Variant:
    """The variant whose stretch of [0, 1), in the order of the routes, holds ``share``.

    Raises:
        DeploymentError: There are no routes.
    """
    if not variants:
        raise DeploymentError("endpoint: nothing is routed here - deploy a version first")
    reached = 0.0
    for variant in variants:
        reached += variant.weight
        if share < reached:
            return variant
    return next(variant for variant in reversed(variants) if variant.weight > 0)


def check_routes(variants: Sequence[Variant]) -> None:
    """Refuse routes that are no distribution.

    Raises:
        DeploymentError: A weight outside [0, 1], a sum other than 1, or a name or version that is there twice.
    """
    if not variants:
        return
    if any(not 0 <= variant.weight <= 1 for variant in variants) or abs(sum(variant.weight for variant in variants) - 1) > _TOLERANCE:
        said = ", ".join(f"{variant.version}: {variant.weight:g}" for variant in variants)
        raise DeploymentError(f"routes: the weights are not fractions that sum to 1 - {said}")
    if len({variant.name for variant in variants}) < len(variants) or len({variant.version for variant in variants}) < len(variants):
        raise DeploymentError("routes: a variant is there twice - give each version once")
