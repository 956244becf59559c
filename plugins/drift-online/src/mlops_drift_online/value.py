"""What a stream may hold."""

from __future__ import annotations

from numbers import Real
from typing import Any, Final

import numpy as np

from mlops_core.exceptions import DriftDetectionError

__all__ = ["read_bit", "read_number"]

_NUMBERS: Final = (float, int, Real, np.bool_)  # the usual ones first: Real answers slowly
_LARGEST: Final = 1e100  # squares of differences, and sums of them, stay finite


def read_number(test: str, value: Any) -> float:
    """The value as a float; booleans are 0 and 1.

    Raises:
        DriftDetectionError: It is no number, or none that is finite and at most 1e100 in size.
    """
    if isinstance(value, _NUMBERS):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if -_LARGEST <= number <= _LARGEST:
            return number
    raise DriftDetectionError(f"drift: {test}: {_shown(value)} is no finite number - leave such values out of the stream")


def read_bit(test: str, value: Any) -> int:
    """The value as 0 or 1.

    Raises:
        DriftDetectionError: It is neither, nor a boolean.
    """
    if isinstance(value, _NUMBERS) and value in {0, 1}:
        return 1 if value else 0
    raise DriftDetectionError(f"drift: {test}: {_shown(value)} is neither 0 nor 1 - give 1 for a wrong answer and 0 for a right one")


def _shown(value: Any) -> str:
    try:
        return " ".join(f"{value!r:.40}".split())
    except ValueError:  # a whole number of thousands of digits
        return "this value"
