"""What drift tests and drift checks answer."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from mlops_core.records.record import Record

__all__ = ["ColumnOutcome", "ConceptDrift", "DataDrift", "DriftResults", "ModelDrift", "TestOutcome"]


@frozen
class TestOutcome(Record):
    """One comparison of reference and current.

    ``p_value`` is in (0, 1] (never exactly 0); ``effect_size`` is the practical size of the change in the method's own unit, ``statistic``
    what the decision was made on; ``n`` and ``m`` are the sizes of reference and current that were used.
    """

    __test__ = False  # pytest would collect a class of this name

    statistic: float
    p_value: float
    effect_size: float
    method: str
    n: int
    m: int


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
class DataDrift(Record):
    """A data drift check: ``drift_detected`` if any outcome drifted, ``p_value`` the smallest adjusted one.

    ``new_columns`` are in the current data only, ``missing_columns`` in the reference only, ``untested_columns`` are of a kind that no test
    takes. ``new_categories`` and ``missing_categories`` are told by column. ``model`` and ``version`` name whose reference it was.
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


@frozen
class ModelDrift(Record):
    """Metrics before and after. ``degradation`` is the loss of each metric in its own direction, negative for a gain.

    ``relative``: losses are shares of the reference's absolute value, else differences. Metrics that only one side has are named.
    """

    drift_detected: bool
    degradation: Mapping[str, float]
    threshold: float
    relative: bool
    reference_metrics: Mapping[str, float]
    current_metrics: Mapping[str, float]
    new_metrics: tuple[str, ...] = ()
    missing_metrics: tuple[str, ...] = ()

    @property
    def degraded_metrics(self) -> tuple[str, ...]:
        """Metrics that lost more than the threshold, the largest loss first."""
        lost = {name: loss for name, loss in self.degradation.items() if loss > self.threshold}
        return tuple(sorted(lost, key=lambda name: -lost[name]))


@frozen
class ConceptDrift(Record):
    """Error rates of labelled predictions, before and after.

    ``statistic`` is the current rate minus the reference's, ``effect_size`` its absolute value.
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
