"""What drift checks answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from mlops_core.records import Record

__all__ = ["QUANTILES", "ColumnOutcome", "ConceptDrift", "DataDrift", "Distribution", "DriftResults", "ModelDrift"]


@frozen
class ColumnOutcome(Record):
    """One test of one column in a data drift check.

    ``test`` is its name in the configuration, or ``missing`` for the comparison of missing shares; ``column`` is ``*`` for a test of the
    whole table. ``adjusted_p_value`` is corrected for every p-value of the check. ``drifted``: it is at most ``threshold``, and the effect
    size at least ``min_effect``. ``reference_missing`` and ``current_missing`` are shares of rows, in [0, 1].
    """

    column: str
    test: str
    method: str
    statistic: float
    p_value: float
    adjusted_p_value: float
    effect_size: float
    threshold: float
    min_effect: float
    drifted: bool
    n: int
    m: int
    reference_missing: float = 0.0
    current_missing: float = 0.0


@frozen
class Distribution(Record):
    """How the values of a column lie on both sides, to look at: no verdict rests on it. Sides are ``reference`` and ``current``.

    ``kind``: ``number``, ``datetime`` (microseconds since 1970, UTC), ``duration`` (seconds), ``text`` (its length in characters),
    ``boolean`` or ``category``. The shares of the sides are those of bins between neighbours of ``edges``, the outer ones with all that
    lies beyond, or those of categories by their ``labels``, the largest first, the last one "n others" where there are many. Numeric
    columns have quantiles too, at ``QUANTILES``.
    """

    column: str
    kind: str
    reference: tuple[float, ...]
    current: tuple[float, ...]
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    reference_quantiles: tuple[float, ...] = ()
    current_quantiles: tuple[float, ...] = ()


QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The probabilities of a distribution's quantiles."""


@frozen
class DataDrift(Record):
    """A data drift check: ``drift_detected`` if any outcome drifted, ``p_value`` the smallest adjusted one.

    ``new_columns`` are in the current data only, ``missing_columns`` in the reference only, ``untested_columns`` are of a kind that no test
    takes. ``new_categories`` and ``missing_categories`` are told by column. ``distributions`` are those of columns that both sides have.
    ``model`` and ``version`` name whose reference it was. A notebook shows the report of ``to_html``.
    """

    drift_detected: bool
    p_value: float
    threshold: float
    correction: str
    outcomes: tuple[ColumnOutcome, ...]
    reference_rows: int
    current_rows: int
    new_columns: tuple[str, ...] = ()
    missing_columns: tuple[str, ...] = ()
    untested_columns: tuple[str, ...] = ()
    new_categories: Mapping[str, tuple[str, ...]] = field(factory=dict)
    missing_categories: Mapping[str, tuple[str, ...]] = field(factory=dict)
    distributions: tuple[Distribution, ...] = ()
    model: str = ""
    version: str = ""

    @property
    def drifted_columns(self) -> tuple[str, ...]:
        """Columns with an outcome that drifted, the smallest p-value first."""
        ranked = sorted(self.outcomes, key=lambda one: (one.adjusted_p_value, -one.effect_size))
        return tuple(dict.fromkeys(one.column for one in ranked if one.drifted))

    def of(self, column: str) -> tuple[ColumnOutcome, ...]:
        """The outcomes of one column."""
        return tuple(one for one in self.outcomes if one.column == column)

    def figures(self) -> dict[str, float]:
        """Figures for monitoring, by name: ``drift.detected`` (0 or 1), ``drift.p_value``, ``drift.columns`` (how many drifted)."""
        return {
            "drift.detected": float(self.drift_detected),
            "drift.p_value": self.p_value,
            "drift.columns": float(len(self.drifted_columns)),
        }

    def to_html(self) -> str:
        """One page that needs nothing else: the verdict, what changed in words and pictures, every p-value and effect size."""
        from mlops_core.drift.report.page import page

        return page(self)

    def to_markdown(self) -> str:
        """The verdict, what changed in words, and a table of every comparison."""
        from mlops_core.drift.report.markdown import markdown

        return markdown(self)

    def to_json(self) -> str:
        """The record as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from mlops_core.drift.report.page import fragment

        return fragment(self)


@frozen
class ModelDrift(Record):
    """Metrics before and after. ``degradation`` is the loss of each metric in its own direction, negative for a gain.

    ``relative``: losses are shares of the reference's absolute value, else differences. Metrics that only one side has are named.
    ``intervals`` holds the 95 % intervals of current metrics, where there are any; drift is then a loss at every value of one.
    ``estimated``: the current metrics were estimated without labels; or ``withheld`` says why there is no estimate, and then nothing is
    known: it is not that there is no drift.
    """

    drift_detected: bool
    degradation: Mapping[str, float]
    threshold: float
    relative: bool
    reference_metrics: Mapping[str, float]
    current_metrics: Mapping[str, float]
    new_metrics: tuple[str, ...] = ()
    missing_metrics: tuple[str, ...] = ()
    estimated: bool = False
    intervals: Mapping[str, tuple[float, float]] = field(factory=dict)
    withheld: str = ""

    @property
    def degraded_metrics(self) -> tuple[str, ...]:
        """Metrics that lost more than the threshold, the largest loss first."""
        lost = {name: loss for name, loss in self.degradation.items() if loss > self.threshold}
        return tuple(sorted(lost, key=lambda name: -lost[name]))


@frozen
class ConceptDrift(Record):
    """Labelled predictions, before and after. Error rates are shares of wrong answers, of numbers mean absolute errors.

    Without features ``statistic`` is the current rate minus the reference's and ``effect_size`` its absolute value; with them see
    ``mlops_core.drift.conditional.compare_given``. ``method`` tells which.
    """

    drift_detected: bool
    p_value: float
    threshold: float
    statistic: float
    effect_size: float
    reference_error_rate: float
    current_error_rate: float
    method: str
    n: int
    m: int


@frozen
class DriftResults(Record):
    """Several checks at once: ``drift_detected`` if any of them found drift; None for one that was not asked for."""

    drift_detected: bool
    data_drift: DataDrift | None = None
    model_drift: ModelDrift | None = None
    concept_drift: ConceptDrift | None = None
