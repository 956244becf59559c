"""The side of monitoring that counts: predictions, figures and outcomes go into a spool and on to the sinks."""

from __future__ import annotations

import logging
import uuid
import weakref
from typing import TYPE_CHECKING, Any, Final, Self

from mlops_core.exceptions import MLOpsError, MonitoringError
from mlops_core.monitoring.arguments import check_kept, check_outcomes, check_values
from mlops_core.monitoring.collector import Collector
from mlops_core.monitoring.ground_truth import GroundTruth
from mlops_core.monitoring.sampling import Sampling
from mlops_core.names import check_name
from mlops_core.records import DEFAULT_ENVIRONMENT, UNNAMED, UNVERSIONED, Logged, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from mlops_core.monitoring.recorder import SeriesRecorder
    from mlops_core.roles import Recorder
    from mlops_core.stack import Stack

__all__ = ["WAIT", "Counting"]

_log = logging.getLogger(__name__)

WAIT: Final = 5.0
"""Seconds that are waited for sinks."""

_NOBODY: Final = object()
_LINE: Final = 1000  # outcomes to a line of the spool


class Counting:
    """Counts predictions, and takes figures and outcomes; the base of ``ModelMonitoring``, which also answers."""

    def __init__(self, tenant_id: str | None = None, *, stack: Stack | None = None) -> None:
        self._stack = _stack(stack, tenant_id)
        self._sync = self._stack.settings.monitoring.durability == "sync"
        self._samples = self._stack.settings.monitoring.sample is not None
        truth = self._stack.settings.monitoring.ground_truth
        self._truth = GroundTruth(truth.rate, truth.task, truth.positive) if truth is not None else None
        self._recorders: dict[tuple[str, str | None, str | None], SeriesRecorder] = {}
        self._last: tuple[Any, Any, Any, Any] = (_NOBODY, None, None, None)  # the series that was counted last, and its recorder
        self._collector: Collector | None = None
        self._made: dict[str, Collector] = {}

    @property
    def tenant_id(self) -> str:
        """Whose predictions these are."""
        return self._stack.tenant

    def track_prediction(
        self,
        model_id: str,
        prediction_time: float,
        success: bool,  # noqa: FBT001  the specification's signature
        error: str | None = None,
        *,
        environment: str | None = None,
        version: str | None = None,
        prediction_id: str | None = None,
        features: Mapping[str, Any] | None = None,
        prediction: Any = None,
        score: float | None = None,
    ) -> None:
        """Count one prediction.

        Args:
            model_id: The model.
            prediction_time: Seconds it took, from 0 to a year.
            success: Whether it succeeded.
            error: Of a failure, its type; of a longer text only what stands before the first colon is kept.
            environment: Where it was served; None counts under ``default``.
            version: The version that answered; None counts under ``unversioned``.
            prediction_id: The caller's name for it, of no other; None: a random one. Outcomes are recorded under it.
            features: Values by column. What ``monitoring.sample`` names is kept of its share of the predictions, and of a few failures.
            prediction: What was answered: a class, or a number. With a ``prediction_id``, ``monitoring.ground_truth`` logs its share.
            score: The probability of the positive class, in [0, 1]; logged with it.
        """
        model, place, answering, record = self._last
        if model is not model_id or place is not environment or answering is not version:  # identity: hashing three names costs more
            record = self._remember(model_id, environment, version)
        if prediction_id is not None or features is not None or score is not None:
            check_kept(prediction_id, features, score)
        record.count(prediction_time, success, error)
        if features is not None or prediction is not None:
            self._keep(record, prediction_id, features or {}, {"prediction": prediction, "score": score}, None if success else error or "")
        if self._sync:
            self._open().sync()

    def recorder(self, series: SeriesKey, revision: int = 0, *, shadow: bool = False) -> Recorder:
        """The hot path for servers: counts predictions of one series under one routing revision; a ``shadow``'s answer nobody."""
        for value, what in (
            (series.tenant, "tenant"),
            (series.environment, "environment"),
            (series.model, "model"),
            (series.version, "version"),
        ):
            check_name(value, what, MonitoringError)
        return self._open().recorder(series, revision, shadow=shadow)

    def record_values(
        self, model_id: str, values: Mapping[str, float], *, environment: str | None = None, version: str | None = None
    ) -> None:
        """Record figures beside the predictions, such as ``{"drift.ks.p_value": 0.03}``; they are in the spool when this returns.

        Args:
            model_id: The model.
            values: Finite numbers by name; a name begins with ``drift.``, ``live.`` or ``custom.``.
            environment: As for ``track_prediction``.
            version: As for ``track_prediction``.
        """
        series = self._series(model_id, environment, version)
        checked = check_values(values)
        if checked:
            self._open().record_values(series, checked)

    def record_outcome(self, prediction_id: str, label: Any, *, row: int = 0, model_id: str | None = None) -> bool:
        """Record what turned out to be right, however late; it is in the spool when this returns.

        The first outcome of a prediction stays. Windows in which the prediction lies take it in, once.

        Args:
            prediction_id: As it was tracked under, or as the server answered.
            label: A class or a number.
            row: Of a request of several rows, which.
            model_id: The model, where predictions of several may have this id; None: all that have.

        Returns:
            False if predictions of this id are not among those that ``monitoring.ground_truth`` logs: then the outcome is ignored.

        Raises:
            MonitoringError: It is no label, or nothing is logged.
        """
        return bool(self.record_outcomes({(prediction_id, row): label}, model_id=model_id))

    def record_outcomes(self, outcomes: Mapping[Any, Any], *, model_id: str | None = None) -> int:
        """Record many outcomes.

        Args:
            outcomes: Labels by prediction id, or by (prediction id, row).
            model_id: As for ``record_outcome``.

        Returns:
            How many of them are of ids whose predictions are logged; the others are ignored, and the log says how many.

        Raises:
            MonitoringError: One is no label, and none is recorded; or nothing is logged.
        """
        series = self._series(UNNAMED if model_id is None else model_id, None, None)
        given = check_outcomes(outcomes)
        truth = self._truth
        if truth is None:
            raise MonitoringError("monitoring.ground_truth: no prediction is logged - set its rate in mlops.yaml, such as {rate: 10%}")
        logged = [(name, row, label) for name, row, label in given if truth.logs(name, row)]
        at = self._stack.clock.now()
        for first in range(0, len(logged), _LINE):
            rows = [Logged(series, "outcome", name, at, label, row) for name, row, label in logged[first : first + _LINE]]
            self._open().record_values(series, {}, rows)
        if len(logged) < len(given):
            _log.info("monitoring: %d of %d outcomes are of predictions that are not logged", len(given) - len(logged), len(given))
        return len(logged)

    def flush(self, timeout: float = WAIT) -> None:
        """Wait until every sink has everything that was counted before this call.

        Raises:
            MonitoringError: A sink did not take it within ``timeout`` seconds; it waits in the spool and is sent when the sink answers.
        """
        if self._collector is not None:
            self._collector.flush(timeout)

    def close(self) -> None:
        """Deliver what is counted, within five seconds, and stop; what a sink does not take stays on disk. Idempotent."""
        if self._collector is not None:
            self._collector.close(WAIT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _remember(self, model_id: Any, environment: Any, version: Any) -> SeriesRecorder:
        try:
            found = self._recorders[model_id, environment, version]
        except (KeyError, TypeError):
            series = self._series(model_id, environment, version)
            found = self._recorders[model_id, environment, version] = self._open().recorder(series, 0)
        self._last = model_id, environment, version, found
        return found

    def _keep(
        self, record: SeriesRecorder, name: str | None, features: Mapping[str, Any], outputs: Mapping[str, Any], error: str | None
    ) -> None:
        """Whatever came of it, its features belong to the uniform sample: drift is often what makes a model fail."""
        if not (features and self._samples) and not (name is not None and self._truth):
            return
        asked, columns = name or uuid.uuid4().hex, {column: (value,) for column, value in features.items()}
        if error is not None:
            record.failed(asked, columns, error)
        if record.wants(asked):
            answered = {column: (value,) for column, value in outputs.items() if value is not None and error is None}
            record.sample(asked, columns, answered, named=name is not None)

    def _series(self, model_id: Any, environment: Any, version: Any) -> SeriesKey:
        return SeriesKey(
            self.tenant_id,
            check_name(DEFAULT_ENVIRONMENT if environment is None else environment, "environment", MonitoringError),
            check_name(model_id, "model", MonitoringError),
            check_name(UNVERSIONED if version is None else version, "version", MonitoringError),
        )

    def _open(self) -> Collector:
        """The collector, made at the first use; it ends with the facade."""
        if self._collector is not None:
            return self._collector
        sinks, settings = self._stack.parts.sinks, self._stack.settings.monitoring.sample
        if not sinks:
            raise MonitoringError("monitoring.sinks: there is none - name one, such as sqlite")
        texts = frozenset(name for name, kind in self._stack.settings.drift.schema.items() if kind == "text")
        sampling = Sampling(frozenset(settings.columns), settings.rate, texts) if settings is not None else None
        made = Collector(self._stack.workdir / "spool" / "monitoring", dict(sinks), self._stack.clock, sampling, self._truth)
        # One that is made has opened nothing yet, so of several the first is kept, in one step: a lock might be held when a process forks.
        found = self._made.setdefault("collector", made)
        if found is made:
            weakref.finalize(self, found.close, WAIT)
        self._collector = found
        return found


def _stack(stack: Stack | None, tenant: str | None) -> Stack:
    try:
        from mlops_core.stack import stack_for

        return stack_for(stack, tenant)
    except MLOpsError as error:
        raise MonitoringError(error.message) from error
