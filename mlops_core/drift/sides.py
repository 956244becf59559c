"""Both sides of a comparison, given or not."""

from __future__ import annotations

from typing import Any

from mlops_core.exceptions import DriftDetectionError

__all__ = ["all_four", "both"]


def both(what: str, reference: Any, current: Any) -> tuple[Any, Any] | None:
    """The two sides of a comparison; None where neither is given.

    Raises:
        DriftDetectionError: One is missing.
    """
    if reference is None and current is None:
        return None
    if reference is None or current is None:
        side = "reference" if reference is None else "current"
        raise DriftDetectionError(f"drift: {what}: the {side} side is missing - give reference_{what} and current_{what}")
    return reference, current


def all_four(*given: Any) -> tuple[Any, Any, Any, Any] | None:
    """Labels and predictions of two sides; None where none of the four is given.

    Raises:
        DriftDetectionError: Some are missing.
    """
    missing = [one is None for one in given]
    if all(missing):
        return None
    if any(missing):
        raise DriftDetectionError("drift: concept drift needs labels and predictions - give both, of both sides")
    return given[0], given[1], given[2], given[3]
