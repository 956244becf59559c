"""Arguments of monitoring, checked: one line for each mistake, before anything is counted."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any, Final

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.ground_truth import checked_label
from mlops_core.records import check_value_name

__all__ = ["check_id", "check_kept", "check_outcomes", "check_score", "check_values"]

_LONGEST_ID: Final = 256


def check_kept(prediction_id: Any, features: Any, score: Any) -> None:
    """Refuse what is no name of a prediction, no mapping of columns to values, or no probability; each may be None."""
    if prediction_id is not None:
        check_id(prediction_id)
    if features is not None and not isinstance(features, Mapping):
        raise MonitoringError(
            f"features: expected values by column, got {type(features).__name__} - give a mapping such as {{'delay': 12.5}}"
        )
    if score is not None:
        check_score(score)


def check_score(score: Any) -> None:
    """Refuse what is no probability: a score of another scale would be ranked wrongly."""
    number = math.nan
    if not isinstance(score, bool | str | bytes):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = float(score)
    if not 0 <= number <= 1:
        raise MonitoringError(f"score: {score!r:.40} is no probability - give that of the positive class, from 0 to 1, or leave it out")


def check_id(prediction_id: Any) -> None:
    """Refuse what is no name of a prediction."""
    if not isinstance(prediction_id, str) or not 0 < len(prediction_id) <= _LONGEST_ID:
        raise MonitoringError(f"prediction_id: expected text of 1 to {_LONGEST_ID} characters - give a short unique name")


def check_values(values: Any) -> dict[str, float]:
    """Figures by name, as finite floats."""
    if not isinstance(values, Mapping):
        raise MonitoringError(f"values: expected a mapping of names to numbers, got {type(values).__name__} - give {{'live.f1': 0.9}}")
    return {_value_name(name): _number(name, value) for name, value in values.items()}


def check_outcomes(outcomes: Any) -> list[tuple[str, int, Any]]:
    """Prediction id, row and label of each."""
    if not isinstance(outcomes, Mapping):
        raise MonitoringError(f"outcomes: expected labels by prediction id, got {type(outcomes).__name__} - give {{'id': 1}}")
    return [(*_named(name), checked_label(label)) for name, label in outcomes.items()]


def _named(name: Any) -> tuple[str, int]:
    prediction_id, row = name if isinstance(name, tuple) and len(name) == 2 else (name, 0)  # noqa: PLR2004  id and row
    check_id(prediction_id)
    if isinstance(row, bool) or not isinstance(row, int) or row < 0:
        raise MonitoringError(f"row: {row!r:.40} is no row of a request - give its place, from 0")
    return prediction_id, row


def _value_name(name: Any) -> str:
    try:
        return check_value_name(name)
    except ValueError as error:
        raise MonitoringError(f"values: {error}") from error


def _number(name: str, value: Any) -> float:
    number = math.nan
    if not isinstance(value, bool | str | bytes):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = float(value)
    if not math.isfinite(number):
        raise MonitoringError(f"values: {name} is {value!r:.40} - give a finite number")
    return number
