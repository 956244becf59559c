"""Model drift: how much each metric lost in its own direction."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from mlops_core.drift.results import ModelDrift
from mlops_core.exceptions import DriftDetectionError

__all__ = ["compare_intervals", "compare_metrics", "direction_of"]

_HIGHER: Final = re.compile(
    "accuracy|precision|recall|sensitivity|specificity|f1|f2|fbeta|auc|auroc|auprc|map|jaccard|iou|dice|mcc|corrcoef|kappa|r2|explained"
    "|ndcg|dcg|mrr|hit|bleu|rouge|meteor|success|throughput|silhouette|gini|lift|pearson|spearman|correlation"
)
_LOWER: Final = re.compile(
    "loss|error|deviance|entropy|nll|brier|ece|mce|mse|rmse|mae|mape|smape|wape|msle|rmsle|crps|perplexity|wer|cer|fid|fpr|fnr|latency"
)
_NEUTRAL: Final = re.compile(
    "train|training|val|valid|validation|eval|test|live|holdout|macro|micro|weighted|samples|ovr|ovo|mean|median|max|average|avg|root|squared"
    "|absolute|percentage|log|balanced|top|k|at|score|rate|roc|pr|cohen|matthews|variance|cross|binary|categorical|hinge|hamming|zero|one"
    "|pinball|quantile|poisson|gamma|tweedie|calibration|expected|l|p?[0-9]+"
)
_HIGHER_IS_BETTER, _LOWER_IS_BETTER = "higher", "lower"


def direction_of(metric: str) -> str | None:
    """``higher`` or ``lower``, whichever is better; None for a metric that is not known.

    Known are the usual names and what is commonly added to them: the data (``val_``, ``test_``), the kind of average (``_macro``), a
    number. A name with any other part is not guessed at. scikit-learn's ``neg_`` turns an error round.
    """
    parts = [part for part in re.split(r"[^a-z0-9]+", metric.lower()) if part]
    negated = "neg" in parts[:1]
    known = parts[negated:]
    higher = any(_HIGHER.fullmatch(part) for part in known)
    lower = any(_LOWER.fullmatch(part) for part in known)
    strange = any(not (_HIGHER.fullmatch(part) or _LOWER.fullmatch(part) or _NEUTRAL.fullmatch(part)) for part in known)
    if strange or higher == lower or (negated and higher):
        return None
    return _HIGHER_IS_BETTER if higher or negated else _LOWER_IS_BETTER


def compare_metrics(reference: Any, current: Any, *, threshold: Any, relative: bool, directions: Any) -> ModelDrift:
    """Metrics that both sides have; drift is a loss of more than ``threshold`` in any.

    Raises:
        DriftDetectionError: A figure is no finite number, a direction is unknown, or a relative loss of 0 is asked for.
    """
    before, after = _figures("reference", reference), _figures("current", current)
    stated = _stated(directions, before)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < math.inf:
        raise DriftDetectionError(f"drift: threshold: {threshold!r:.40} is not a loss - give a number from 0 on, such as 0.1")
    if not isinstance(relative, bool):
        raise DriftDetectionError(f"drift: relative: expected True or False, got {relative!r:.40} - say relative=False for absolute losses")
    common = [name for name in before if name in after]
    if not common:
        raise DriftDetectionError("drift: metrics: the sides have none in common - give the same metrics twice")
    degradation = {name: _loss(name, before[name], after[name], stated, relative=relative) for name in common}
    return ModelDrift(
        drift_detected=any(loss > threshold for loss in degradation.values()),
        degradation=degradation,
        threshold=float(threshold),
        relative=relative,
        reference_metrics=before,
        current_metrics=after,
        new_metrics=tuple(name for name in after if name not in before),
        missing_metrics=tuple(name for name in before if name not in after),
    )


def compare_intervals(
    reference: Mapping[str, float],
    current: Mapping[str, float],
    ends: Mapping[str, tuple[float, float]],
    *,
    threshold: Any,
    relative: bool,
    before: Mapping[str, tuple[float, ...]] | None = None,
) -> ModelDrift:
    """The same where current figures have intervals: drift is a loss of more than ``threshold`` at every value of one.

    ``before``: intervals of the reference's figures, if there are; the loss is then one from every value of these, too.
    """
    answer = compare_metrics(reference, current, threshold=threshold, relative=relative, directions=None)
    least = {}
    for name, value in reference.items():
        if name not in ends:
            continue
        from_ends = {value} if before is None else {one for one in before[name] if one or not relative}
        pairs = [({name: one}, {name: end}) for one in from_ends for end in ends[name]]
        losses = [compare_metrics(*pair, threshold=threshold, relative=relative, directions=None).degradation[name] for pair in pairs]
        least[name] = min(losses, default=0.0)
    return evolve(answer, drift_detected=any(loss > answer.threshold for loss in least.values()), intervals=dict(ends))


def _figures(side: str, metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, Mapping) or not metrics:
        raise DriftDetectionError(f"drift: {side} metrics: expected a mapping, got {metrics!r:.40} - give some: {{'accuracy': 0.95}}")
    found = {}
    for name, value in metrics.items():
        try:
            figure = float(value)
        except (OverflowError, TypeError, ValueError):
            figure = math.nan
        if not isinstance(name, str) or not math.isfinite(figure):
            raise DriftDetectionError(f"drift: {side} metrics: {name!r:.60} is {value!r:.40} - give finite numbers by name")
        found[name] = figure
    return found


def _stated(directions: Any, known: Mapping[str, float]) -> dict[str, str]:
    stated = {} if directions is None else directions
    if not isinstance(stated, Mapping) or not all(way in (_HIGHER_IS_BETTER, _LOWER_IS_BETTER) for way in stated.values()):
        raise DriftDetectionError(f"drift: directions: {directions!r:.60} - give 'higher' or 'lower' (is better) by metric")
    for name in stated:
        if name not in known:
            raise DriftDetectionError(f"drift: directions: there is no metric {name!r:.60} (only: {', '.join(known):.80}) - leave it out")
    return dict(stated)


def _loss(name: str, before: float, after: float, stated: Mapping[str, str], *, relative: bool) -> float:
    direction = stated.get(name) or direction_of(name)
    if direction is None:
        raise DriftDetectionError(f"drift: metrics: is more of {name!r:.60} better? - say directions={{{name!r:.60}: 'higher'}} or 'lower'")
    loss = before - after if direction == _HIGHER_IS_BETTER else after - before
    if not relative:
        return loss
    if before == 0:
        raise DriftDetectionError(f"drift: metrics: {name!r:.60} was 0, so its relative loss has no meaning - use relative=False")
    return loss / abs(before)
