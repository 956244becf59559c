"""What a stream may hold."""

from __future__ import annotations

from numbers import Real
from typing import Any, Final

import numpy as np

from mlops_core.exceptions import DriftDetectionError

__all__ = ["read_bit", "read_number"]

_LARGEST: Final = 1e100  # squares of differences, and sums of them, stay finite


def read_number(test: str, value: Any) -> float:
    """The value as a float; booleans are 0 and 1.

    Raises:
        DriftDetectionError: It is no number, or none that is finite and at most 1e100 in size.
    """
    if isinstance(value, Real | np.bool_):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if -_LARGEST <= number <= _LARGEST:
            return number
    raise DriftDetectionError(f"drift: {test}: {value!r:.40} is no finite number - leave such values out of the stream")


def read_bit(test: str, value: Any) -> int:
    """The value as 0 or 1.

    Raises:
        DriftDetectionError: It is neither, nor a boolean.
    """
    if isinstance(value, Real | np.bool_) and value in {0, 1}:
        return 1 if value else 0
    raise DriftDetectionError(f"drift: {test}: {value!r:.40} is neither 0 nor 1 - give 1 for a wrong answer and 0 for a right one")
