"""Both sides of a comparison."""

import pytest

from mlops_core.drift.sides import all_four, both
from mlops_core.exceptions import DriftDetectionError


def test_all_or_nothing() -> None:
    assert both("data", 1, 2) == (1, 2)
    assert both("data", None, None) is None
    assert all_four(1, 2, 3, 4) == (1, 2, 3, 4)
    assert all_four(None, None, None, None) is None


def test_what_is_missing_is_named() -> None:
    with pytest.raises(DriftDetectionError, match=r"^drift: data: the reference side is missing"):
        both("data", None, 2)
    with pytest.raises(DriftDetectionError, match=r"^drift: metrics: the current side is missing"):
        both("metrics", 1, None)
    with pytest.raises(DriftDetectionError, match=r"^drift: concept drift needs labels and predictions"):
        all_four(1, 2, None, 4)
