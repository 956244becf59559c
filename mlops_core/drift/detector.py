"""The facade of drift detection."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack

from mlops_core.drift.guard import own_errors
from mlops_core.drift.results import ConceptDrift, DataDrift, DriftResults, ModelDrift
from mlops_core.drift.selection import choose_stream_test, choose_tests, listed_tests, locate_stack
from mlops_core.drift.sides import all_four, both
from mlops_core.exceptions import DriftDetectionError
from mlops_core.names import check_name
from mlops_core.records import DriftChecked

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlops_core.drift.check import CheckOptions
    from mlops_core.drift.column import Kind
    from mlops_core.drift.reference import Reference
    from mlops_core.drift.watch import Watch
    from mlops_core.stack import Stack

    MinEffect = float | Mapping[str, float] | Literal["conventional"]

__all__ = ["DriftDetector"]

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)


class DriftDetector:
    """Tells whether data, a model's metrics or its errors changed by more than chance.

    Needs no project: without one the tests ``ks`` and ``psi`` are used, and nothing is written anywhere. Keeps no state between calls, so
    it is thread-safe. Derive from it to add checks of your own.

    Data is a numpy array of shape (rows,) or (rows, columns), a pandas, polars or pyarrow table or series, a dict of columns, or a list
    of values or rows; of an iterator of such chunks 100,000 rows are drawn. Columns are matched by name, by position where a side has
    none (then they are called x0, x1, ...). Booleans and text are categories; datetimes and durations are numbers. None and NaN are
    missing values: they are left out of the tests, and where either side has any, the missing shares are compared as well. Infinite
    values are refused. Columns of a kind that no test takes, and those that only one side has, are named in the answer and not tested.

    Args:
        tenant_id: The tenant; None for the project's.
        tests: Names of drift tests as the configuration writes them; None for those of the configuration, else ``ks`` and ``psi``.
        stack: The stack to stand on; None: that of the project (see ``mlops_core.stack.locate``), found at the first check.

    Raises:
        DriftDetectionError: From every method, one line.
    """

    def __init__(self, tenant_id: str | None = None, *, tests: Sequence[str] | str | None = None, stack: Stack | None = None) -> None:
        self._tenant = None if tenant_id is None else check_name(tenant_id, "tenant", DriftDetectionError)
        self._tests = listed_tests(tests)
        self._given = stack

    @property
    def tenant_id(self) -> str:
        """Whose checks these are."""
        return self._stack.tenant

    @cached_property
    def _stack(self) -> Stack:
        return locate_stack(self._tenant, self._given)

    def detect_data_drift(
        self,
        reference_data: Any,
        current_data: Any,
        threshold: float | None = None,
        *,
        columns: Sequence[str] | None = None,
        correction: str | None = None,
        min_effect: MinEffect | None = None,
        tests: Sequence[str] | str | None = None,
        schema: Mapping[str, Kind] | None = None,
        seed: int = 0,
    ) -> DataDrift:
        """Compare the distribution of every column with what it was.

        The correction is over every p-value of the call. A column drifted if its adjusted p-value is at most the threshold and its effect
        size at least ``min_effect``: in large samples every difference is significant, so give one.

        Args:
            reference_data: What data was like, or a fitted ``Reference``.
            current_data: What it is like now. At least two rows, as in the reference.
            threshold: Level in (0, 1); None: ``drift.alpha`` of the configuration, 0.05.
            columns: Only these.
            correction: See ``mlops_core.drift.correction.adjust``; None: ``drift.correction``, benjamini-hochberg.
            min_effect: Least effect size, for all tests or by test; ``conventional`` for each test's own; None: ``drift.min_effect``, 0.
            tests: Names, instead of the detector's. A fitted reference answers only tests that it was fitted for.
            schema: Kinds by column, beside those of ``drift.schema``: number, datetime, duration, boolean, category, or text, of which the
                length in characters is compared. Kinds of other columns are those of the values. A fitted reference has its own.
            seed: Of the tests that simulate: equal input and seed give equal answers.

        Raises:
            DriftDetectionError: An argument is wrong, or the data cannot be compared; one line naming the column.
        """
        from mlops_core.drift.check import CheckOptions

        judged = CheckOptions(threshold=threshold, correction=correction, min_effect=min_effect)
        options = CheckOptions(columns=columns, tests=tests, schema=schema, seed=seed, **judged)
        return self._check(reference_data, current_data, options)

    def detect_model_drift(
        self,
        reference_metrics: Mapping[str, float],
        current_metrics: Mapping[str, float],
        threshold: float = 0.1,
        *,
        relative: bool = True,
        directions: Mapping[str, Literal["higher", "lower"]] | None = None,
    ) -> ModelDrift:
        """Compare metrics of a model with what they were; drift is a loss of more than ``threshold`` in any.

        No test of chance: small test sets move metrics by themselves.

        Args:
            reference_metrics: Figures by name, such as those of the validation.
            current_metrics: Figures by name now; those that both sides have are compared.
            threshold: Largest loss that is no drift: 0.1 is a tenth of the reference, or 0.1 with ``relative`` False.
            relative: Losses as shares of the reference's absolute value.
            directions: ``higher`` or ``lower`` (is better) by metric, needed for metrics without a usual name.

        Raises:
            DriftDetectionError: A figure is no finite number, or a direction is not known.
        """
        from mlops_core.drift.metrics import compare_metrics

        answer = compare_metrics(reference_metrics, current_metrics, threshold=threshold, relative=relative, directions=directions)
        self._tell("model", answer.drift_detected, None, detail={"degradation": dict(answer.degradation)})
        return answer

    def estimate_model_drift(
        self,
        reference_labels: Any,
        reference_probabilities: Any,
        current_probabilities: Any,
        threshold: float = 0.1,
        *,
        metrics: Sequence[str] | str = "accuracy",
        relative: bool = True,
        seed: int = 0,
    ) -> ModelDrift:
        """Compare metrics of a binary classifier with what they were before the current labels are known.

        Its own probabilities tell how often it is right, as far as they are calibrated and P(label | features) is as it was, which no data
        without labels can show. Each metric has a 95 % interval; drift is a loss beyond the threshold at every value of one. The estimate
        is withheld, and ``withheld`` of the answer says why, where the probabilities are not calibrated on the reference or lie beyond
        those of the reference: then nothing is known.

        Args:
            reference_labels: 0 or 1 for each row of the reference, 200 at least.
            reference_probabilities: The model's probabilities of 1 for the same rows.
            current_probabilities: Those of the current rows.
            threshold: See ``detect_model_drift``, as ``relative``.
            metrics: Some of accuracy, precision, recall, f1, roc_auc, brier and log_loss. Answers are 1 from a probability of 0.5 on.
            relative: Losses as shares of the reference's absolute value.
            seed: Of the simulation behind the intervals.

        Raises:
            DriftDetectionError: Labels or probabilities are none, do not fit each other, or a metric is unknown.
        """
        from mlops_core.drift.check import generator
        from mlops_core.drift.estimate import estimate_metrics

        reference = (reference_labels, reference_probabilities)
        chance = generator(seed)
        answer = estimate_metrics(reference, current_probabilities, metrics=metrics, threshold=threshold, relative=relative, rng=chance)
        detail = {"degradation": dict(answer.degradation), "estimated": True, "withheld": answer.withheld}
        self._tell("model", answer.drift_detected, None, detail=detail)
        return answer

    def detect_concept_drift(
        self,
        reference_labels: Any,
        reference_predictions: Any,
        current_labels: Any,
        current_predictions: Any,
        threshold: float | None = None,
        *,
        reference_data: Any = None,
        current_data: Any = None,
        seed: int = 0,
    ) -> ConceptDrift:
        """Tell whether labels follow from the features otherwise than they did. It needs true labels, of both periods.

        Without features: whether a classifier errs more or less often, by Fisher's exact test. A change that leaves the rate as it was is
        not seen, and harder cases raise it too. With the features of both periods: whether the label depends on the period given features
        and prediction, by the generalised covariance measure, from some hundred rows each on; features that moved are no drift then.

        Args:
            reference_labels: True classes of the reference period, one per row.
            reference_predictions: What the model answered for the same rows.
            current_labels: True classes now.
            current_predictions: What the model answers now.
            threshold: Level in (0, 1); None: ``drift.alpha`` of the configuration, 0.05.
            reference_data: Features of the reference's rows, see ``detect_data_drift``. With them labels may be numbers, too.
            current_data: Those of the current rows.
            seed: Of the test with features, which simulates.

        Raises:
            DriftDetectionError: Labels, predictions and features do not fit each other, or labels are no classes.
        """
        from mlops_core.drift.concept import check_concept

        pairs = (reference_labels, reference_predictions), (current_labels, current_predictions)
        data = both("data", reference_data, current_data)
        answer = check_concept(self._stack, *pairs, data, threshold=threshold, seed=seed)
        rates = {"reference_error_rate": answer.reference_error_rate, "current_error_rate": answer.current_error_rate}
        self._tell("concept", answer.drift_detected, answer.p_value, detail=rates)
        return answer

    def check_drift(
        self,
        reference_data: Any = None,
        current_data: Any = None,
        reference_metrics: Mapping[str, float] | None = None,
        current_metrics: Mapping[str, float] | None = None,
        *,
        reference_labels: Any = None,
        reference_predictions: Any = None,
        current_labels: Any = None,
        current_predictions: Any = None,
        threshold: float | None = None,
        metric_threshold: float = 0.1,
    ) -> DriftResults:
        """Make every check that both sides are given for.

        Args:
            reference_data: See ``detect_data_drift``.
            current_data: The other side.
            reference_metrics: See ``detect_model_drift``.
            current_metrics: The other side.
            reference_labels: See ``detect_concept_drift``, as the three that follow.
            reference_predictions: The model's answers.
            current_labels: The other side.
            current_predictions: The other side.
            threshold: Level of the data and concept checks.
            metric_threshold: Of the model check.
        """
        data = both("data", reference_data, current_data)
        metrics = both("metrics", reference_metrics, current_metrics)
        concept = all_four(reference_labels, reference_predictions, current_labels, current_predictions)
        if not (data or metrics or concept):
            raise DriftDetectionError("drift: there is nothing to check - give data, metrics, or labels and predictions, of both sides")
        answers = (
            self.detect_data_drift(*data, threshold) if data else None,
            self.detect_model_drift(*metrics, metric_threshold) if metrics else None,
            self.detect_concept_drift(*concept, threshold) if concept else None,
        )
        return DriftResults(any(answer is not None and answer.drift_detected for answer in answers), *answers)

    def fit_reference(
        self,
        reference_data: Any,
        *,
        columns: Sequence[str] | None = None,
        schema: Mapping[str, Kind] | None = None,
        keep: Sequence[str] | None = None,
    ) -> Reference:
        """Prepare reference data for this detector's tests, to be kept and checked against later (see ``Reference.fit``).

        Raises:
            DriftDetectionError: The data cannot be read, or no test takes any of its columns.
        """
        from mlops_core.drift.reference import Reference

        tests = choose_tests(self._stack, self._tests)
        return Reference.fit(reference_data, tests, columns=columns, schema=schema, keep=keep, stack=self._stack)

    def check_version(self, model: str, version: str | None, current_data: Any, **options: Unpack[CheckOptions]) -> DataDrift:
        """Compare current data with the reference that was stored with a version, its artifact ``reference``.

        Args:
            model: A registered model.
            version: One of its versions, by name or ``@alias``; None: the newest.
            current_data: See ``detect_data_drift``, as the options.
            **options: As of ``detect_data_drift``, without ``schema``, which is the reference's.

        Raises:
            DriftDetectionError: There is no such version, it has no reference, or the data cannot be compared with it.
        """
        from mlops_core.drift.stored import stored_reference

        found, reference = stored_reference(self._stack, model, version)
        return self._check(reference, current_data, options, model=model, version=found)

    def check_live(
        self,
        model: str,
        window: timedelta = _DAY,
        *,
        environment: str | None = None,
        version: str | None = None,
        end: datetime | None = None,
        **options: Unpack[CheckOptions],
    ) -> DataDrift:
        """Compare the sampled predictions of a window with the reference of the version that answered them.

        Args:
            model: A registered model that serves.
            window: How long before ``end``.
            environment: Only this one.
            version: Only this one; needed where several answered.
            end: None: now.
            **options: See ``check_version``.

        Raises:
            DriftDetectionError: No prediction was sampled, or see ``check_version``.
        """
        from mlops_core.drift.stored import live_rows, stored_reference

        answered, rows = live_rows(self._stack, model, window, environment=environment, version=version, end=end)
        _, reference = stored_reference(self._stack, model, answered)
        return self._check(reference, rows, options, model=model, version=answered)

    def check_outcomes(
        self,
        model: str,
        window: timedelta = _WEEK,
        *,
        reference: Mapping[str, float] | timedelta | None = None,
        environment: str | None = None,
        version: str | None = None,
        end: datetime | None = None,
        threshold: float | None = None,
        metric_threshold: float = 0.1,
    ) -> DriftResults:
        """Compare what outcomes say of a window's predictions with how good the model was: model drift, and concept drift of classes.

        Drift of the model is a loss of more than ``metric_threshold`` of the reference at every value of a figure's 95 % interval. Drift of
        the concept is a difference of error rates by Fisher's exact test; it needs a time as reference.

        Args:
            model: A model whose predictions are logged (``monitoring.ground_truth``).
            window: How long before ``end``.
            reference: Metrics by name; or a length of time before the window; None: those that the version was registered with.
            environment: Only this one.
            version: Only this one; needed where several answered.
            end: None: now.
            threshold: Level of the concept check, in (0, 1); None: ``drift.alpha``.
            metric_threshold: See ``detect_model_drift``; relative.

        Raises:
            DriftDetectionError: No outcome is known in the window, or nothing of the reference.
        """
        from mlops_core.drift.outcomes import check_outcomes

        place, levels = (environment, version), (threshold, metric_threshold)
        answer = check_outcomes(self._stack, model, window, reference, place, end, levels)
        if answer.model_drift is not None:
            detail: dict[str, Any] = {"degradation": dict(answer.model_drift.degradation)}
            self._tell("model", answer.model_drift.drift_detected, None, model=model, detail=detail)
        if answer.concept_drift is not None:
            self._tell("concept", answer.concept_drift.drift_detected, answer.concept_drift.p_value, model=model, detail={})
        return answer

    def watch(self, test: str = "adwin") -> Watch:
        """Watch a stream, such as the errors of a model, one value at a time (see ``Watch``).

        Args:
            test: Name of a test of a stream, as the configuration writes it.

        Raises:
            DriftDetectionError: There is no such test, or it compares two samples.
        """
        from mlops_core.drift.watch import Watch

        return Watch(test, choose_stream_test(self._stack, test))

    def resume_watch(self, path: str | os.PathLike[str]) -> Watch:
        """Go on with a stream where ``Watch.save`` left it; raises as ``Watch.load``."""
        from mlops_core.drift.watch import Watch

        return Watch.load(path, stack=self._stack)

    def _check(self, reference: Any, current: Any, options: CheckOptions, *, model: str = "", version: str = "") -> DataDrift:
        from attrs import evolve

        from mlops_core.drift.check import check_data

        answer = evolve(check_data(self._stack, self._tests, reference, current, options), model=model, version=version)
        detail = {"drifted_columns": list(answer.drifted_columns), **({"version": version} if version else {})}
        self._tell("data", answer.drift_detected, answer.p_value, model=model, detail=detail)
        return answer

    def _tell(
        self, kind: Literal["data", "model", "concept"], found: Any, p_value: float | None, *, model: str = "", detail: Mapping[str, Any]
    ) -> None:
        with own_errors():
            at = self._stack.clock.now()
            event = DriftChecked(self.tenant_id, at, kind, drift_detected=bool(found), p_value=p_value, model=model, detail=detail)
            self._stack.parts.emit(event)
