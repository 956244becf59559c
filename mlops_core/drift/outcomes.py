"""Model and concept drift of served predictions, from the outcomes that monitoring has compared with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_core.drift.guard import own_errors
from mlops_core.drift.metrics import compare_intervals
from mlops_core.drift.proportion import compare_shares
from mlops_core.drift.results import ConceptDrift, DriftResults, ModelDrift
from mlops_core.drift.stored import bounds, live_segments, registered
from mlops_core.drift.verdict import check_level
from mlops_core.exceptions import DriftDetectionError
from mlops_core.records import LIVE_METRICS, Quality, merge_quality

if TYPE_CHECKING:
    from mlops_core.stack import Stack

__all__ = ["Asked", "check_outcomes"]

Asked = timedelta | Mapping[str, float] | None


def check_outcomes(
    stack: Stack,
    model: str,
    window: Any,
    reference: Asked,
    place: tuple[str | None, str | None],
    end: datetime | None,
    levels: tuple[float | None, float],
) -> DriftResults:
    """Compare the live figures of a window with a version's metrics, with metrics that are given, or with the time before.

    Args:
        stack: Whose sink and registry are asked.
        model: The model.
        window: The length of the window.
        reference: See ``DriftDetector.check_outcomes``.
        place: Environment and version; None: any.
        end: The end of the window; None: now.
        levels: The level of the test of error rates, None for the configured one, and the largest loss that is no drift.

    Raises:
        DriftDetectionError: Nothing is known of the window or of the reference.
    """
    start, until = bounds(stack, model, window, end)
    version, current = _known(stack, model, start, until, place)
    if isinstance(reference, timedelta):
        earlier, _ = bounds(stack, model, reference, start)
        _, before = _known(stack, model, earlier, start, (place[0], version))
        metrics = {name: (one.value, one.low, one.high) for name, one in before.estimates().items()}
    else:
        before = Quality()
        given = _figures(reference) if reference is not None else _metrics_of(stack, model, version)
        metrics = {name: (value, value, value) for name, value in given.items()}
    drift = _degradation(model, metrics, current, levels[1])
    concept = _concept(before, current, check_level(stack.settings.drift.alpha if levels[0] is None else levels[0]))
    return DriftResults(drift.drift_detected or (concept is not None and concept.drift_detected), None, drift, concept)


def _degradation(model: str, metrics: Mapping[str, tuple[float, float, float]], current: Quality, threshold: float) -> ModelDrift:
    """Losses relative to what the figures were; one that was 0 has none."""
    found = current.estimates()
    known = {name: value for name, value in metrics.items() if name in found and value[0] != 0}
    if not known:
        has = ", ".join(found)
        raise DriftDetectionError(f"drift: model {model!r}: the reference has none of the figures that are known live ({has}) - give one")
    values = {name: found[name].value for name in known}
    ends = {name: (found[name].low, found[name].high) for name in known}
    middle = {name: value for name, (value, _, _) in known.items()}
    before = {name: one[1:] for name, one in known.items()}
    return compare_intervals(middle, values, ends, threshold=threshold, relative=True, before=before)


def _known(stack: Stack, model: str, start: datetime, end: datetime, place: tuple[str | None, str | None]) -> tuple[str, Quality]:
    """The version that answered in a window, and what is known of its predictions."""
    found: dict[str, list[Quality]] = {}
    for segment in live_segments(stack, model, start, end, *place):
        if segment.quality is not None:
            found.setdefault(segment.series.version, []).append(segment.quality)
    if not found:
        raise DriftDetectionError(
            f"drift: model {model!r}: no outcome is known of predictions from {start.isoformat()} to {end.isoformat()} - set "
            "monitoring.ground_truth, and record outcomes"
        )
    if len(found) > 1:
        raise DriftDetectionError(f"drift: model {model!r}: versions {', '.join(sorted(found))} answered - give version=")
    version, parts = found.popitem()
    return version, merge_quality(parts)


def _figures(reference: Any) -> dict[str, float]:
    if not isinstance(reference, Mapping):
        told = f"{reference!r:.40} is neither metrics nor a length of time"
        raise DriftDetectionError(f"drift: reference: {told} - give {{'accuracy': 0.9}} or timedelta(days=28)")
    return dict(reference)


def _metrics_of(stack: Stack, model: str, version: str) -> dict[str, float]:
    """The metrics that a version was registered with."""
    with own_errors():
        metadata = registered(stack, model, version).metadata
    numbers = {name: value for name, value in metadata.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    return {name: float(value) for name, value in numbers.items() if name in LIVE_METRICS and math.isfinite(value)}


def _concept(before: Quality, current: Quality, level: float) -> ConceptDrift | None:
    """Whether classes are mistaken more or less often than before; None where one side has no classes."""
    if not before.labelled or not current.labelled:
        return None
    wrong = [one.labelled - one.correct for one in (before, current)]
    tested = compare_shares(wrong[0], before.labelled, wrong[1], current.labelled)
    return ConceptDrift(
        drift_detected=tested.p_value <= level,
        p_value=tested.p_value,
        threshold=level,
        statistic=tested.statistic,
        effect_size=tested.effect_size,
        reference_error_rate=wrong[0] / before.labelled,
        current_error_rate=wrong[1] / current.labelled,
        method=tested.method,
        n=before.labelled,
        m=current.labelled,
    )
