"""The facade of monitoring."""

from __future__ import annotations

import contextlib
import math
import threading
import uuid
import weakref
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from mlops_core.clock import aware
from mlops_core.exceptions import MLOpsError, MonitoringError
from mlops_core.monitoring.alerting import Alerting
from mlops_core.monitoring.collector import Collector
from mlops_core.monitoring.metrics import Metrics
from mlops_core.monitoring.reading import Reader, check_window, erase, roll_up_all
from mlops_core.monitoring.sampling import Sampling
from mlops_core.names import check_name
from mlops_core.records import DEFAULT_ENVIRONMENT, UNVERSIONED, HealthReport, SeriesKey, Window, assess_health, check_value_name

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from mlops_core.monitoring.incidents import Incident
    from mlops_core.roles import Recorder
    from mlops_core.stack import Stack

__all__ = ["ModelMonitoring"]

_WAIT: Final = 5.0
_LONGEST_ID: Final = 256
_HOUR: Final = timedelta(hours=1)


class ModelMonitoring:
    """Counts predictions, answers windows of them, judges health and raises alerts.

    ``track_prediction`` puts a prediction into a buffer of its thread; within 100 ms it is in the spool, where it survives the death of the
    process, and on its way to every sink. With ``durability: sync`` a call returns once it is in the spool. A sink that is down or hangs
    delays neither predictions nor other sinks. Thread-safe; a forked child counts for itself.

    Args:
        tenant_id: The tenant; None for the project's.
        stack: The stack to stand on; None: that of the project (see ``mlops_core.stack.locate``).

    Raises:
        MonitoringError: From every method, one line.
    """

    def __init__(self, tenant_id: str | None = None, *, stack: Stack | None = None) -> None:
        self._stack = _stack(stack, tenant_id)
        self._sync = self._stack.settings.monitoring.durability == "sync"
        self._samples = self._stack.settings.monitoring.sample is not None
        self._recorders: dict[tuple[str, str | None, str | None], Recorder] = {}
        self._collector: Collector | None = None
        self._opening = threading.Lock()

    @property
    def tenant_id(self) -> str:
        """Whose predictions these are."""
        return self._stack.tenant

    # -- counting

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
    ) -> None:
        """Count one prediction.

        Args:
            model_id: The model.
            prediction_time: Seconds it took, from 0 to a year.
            success: Whether it succeeded.
            error: Of a failure, its type; of a longer text only what stands before the first colon is kept.
            environment: Where it was served; None counts under ``default``.
            version: The version that answered; None counts under ``unversioned``.
            prediction_id: The caller's name for it, of no other; None: a random one. It is kept with the features, where those are.
            features: Values by column. What ``monitoring.sample`` names is kept of its share of the predictions, for drift checks.
            prediction: What was answered; kept with them as ``prediction`` if that is among the columns.
        """
        try:
            record = self._recorders[model_id, environment, version]
        except (KeyError, TypeError):
            record = self._remember(model_id, environment, version)
        if prediction_id is not None:
            _check_id(prediction_id)
        if features is not None:
            _check_features(features)
        record(prediction_time, success, error)
        if features is not None and self._samples:
            _sample(record, prediction_id, features, prediction)
        if self._sync:
            self._open().sync()

    def recorder(self, series: SeriesKey, revision: int = 0) -> Recorder:
        """The hot path for servers: counts predictions of one series under one routing revision."""
        for value, what in (
            (series.tenant, "tenant"),
            (series.environment, "environment"),
            (series.model, "model"),
            (series.version, "version"),
        ):
            check_name(value, what, MonitoringError)
        return self._open().recorder(series, revision)

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
        if not isinstance(values, Mapping):
            raise MonitoringError(f"values: expected a mapping of names to numbers, got {type(values).__name__} - give {{'live.f1': 0.9}}")
        checked = {_check_value(name): _check_number(name, value) for name, value in values.items()}
        if checked:
            self._open().record_values(series, checked)

    # -- windows

    def get_metrics(
        self,
        model_id: str,
        time_window: timedelta = _HOUR,
        *,
        environment: str | None = None,
        version: str | None = None,
        end: datetime | None = None,
    ) -> Metrics:
        """Figures of the window [end - time_window, end).

        This facade's own earlier calls are in it, whatever other processes counted follows within 100 ms.

        Args:
            model_id: The model.
            time_window: Above zero.
            environment: One environment; None: all.
            version: One version; None: all.
            end: An aware time; None: now.

        Returns:
            Zero totals and None rates where nothing was recorded.
        """
        window = self._window(model_id, time_window, environment, version, end)
        return Metrics.of(window, model_id, environment, version)

    def check_health(
        self,
        model_id: str,
        time_window: timedelta | None = None,
        *,
        environment: str | None = None,
        version: str | None = None,
        end: datetime | None = None,
    ) -> HealthReport:
        """Judge a window, by default the last ``monitoring.health_window``, by ``monitoring.max_error_rate``; ``unknown`` without data."""
        settings = self._stack.settings.monitoring
        window = self._window(model_id, settings.health_window if time_window is None else time_window, environment, version, end)
        return assess_health(window, max_error_rate=settings.max_error_rate)

    # -- alerts

    def evaluate(self, now: datetime | None = None) -> tuple[Incident, ...]:
        """Evaluate the alert rules once and send what channels are owed. A pass of the control loop.

        Args:
            now: An aware time to evaluate at; None: the present.

        Returns:
            The incidents that opened or ended in this pass.
        """
        asked = None if now is None else aware(now, "now", MonitoringError)
        reader = self._reader()
        return Alerting(self._stack).evaluate(reader, asked or self._stack.clock.now())

    def incidents(self, model_id: str | None = None, *, resolved: bool = False) -> list[Incident]:
        """Open incidents of a model, or of all (None), oldest first; with ``resolved`` also what is pending, and each rule's last one."""
        if model_id is not None:
            check_name(model_id, "model", MonitoringError)
        found = Alerting(self._stack).incidents(model_id)
        return sorted((one for one in found if resolved or one.is_open), key=lambda one: (one.since, one.rule, one.environment))

    # -- upkeep

    def flush(self, timeout: float = _WAIT) -> None:
        """Wait until every sink has everything that was counted before this call.

        Raises:
            MonitoringError: A sink did not take it within ``timeout`` seconds; it waits in the spool and is sent when the sink answers.
        """
        if self._collector is not None:
            self._collector.flush(timeout)

    def drain(self) -> int:
        """Deliver what processes that died left in their spools; answers how many segments. A pass of the control loop."""
        return self._open().drain()

    def roll_up(self, now: datetime | None = None, *, recent: timedelta | None = None) -> int:
        """Merge older figures to coarser resolutions and erase what is too old, as ``monitoring.retention`` says; a pass of its own.

        Answers how many segments were merged or erased. With ``recent`` only what reached the age of a resolution in that time is looked
        at, and nothing erased.

        Raises:
            MonitoringError: A sink does not answer; the others are rolled up all the same.
        """
        at = aware(now, "now", MonitoringError) if now is not None else self._stack.clock.now()
        return roll_up_all(self._open().sinks, self.tenant_id, self._stack.settings.monitoring.levels, at, recent)

    def purge(self, *, before: datetime | None = None, ids: Sequence[str] = ()) -> int:
        """Erase what is kept of single predictions of this tenant; counts and figures stay.

        Args:
            before: All of segments that ended before this time, with a zone.
            ids: Those of these predictions.

        Returns:
            How many rows the sinks erased.

        Raises:
            MonitoringError: Nothing is named; a sink that answers windows cannot erase; or it does not answer.
        """
        if before is None and not ids:
            raise MonitoringError("purge: nothing is named - give before= or ids=")
        for name in ids:
            _check_id(name)
        until = aware(before, "before", MonitoringError) if before is not None else None
        collector = self._open()
        collector.drain()
        collector.renew()
        late = ""
        try:
            collector.flush(_WAIT, [name for name, sink in collector.sinks.items() if "read" in sink.capabilities])
        except MonitoringError as error:  # what the sinks have is erased all the same
            late = error.message
        count = erase(collector.sinks, self.tenant_id, before=until, ids=tuple(ids))
        if late:
            raise MonitoringError(f"purge: {count} rows are erased, but {late}")
        return count

    def close(self) -> None:
        """Deliver what is counted, within five seconds, and stop; what a sink does not take stays on disk. Idempotent."""
        if self._collector is not None:
            self._collector.close(_WAIT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- inside

    def _remember(self, model_id: Any, environment: Any, version: Any) -> Recorder:
        series = self._series(model_id, environment, version)
        found = self._recorders[model_id, environment, version] = self._open().recorder(series, 0)
        return found

    def _series(self, model_id: Any, environment: Any, version: Any) -> SeriesKey:
        return SeriesKey(
            self.tenant_id,
            check_name(DEFAULT_ENVIRONMENT if environment is None else environment, "environment", MonitoringError),
            check_name(model_id, "model", MonitoringError),
            check_name(UNVERSIONED if version is None else version, "version", MonitoringError),
        )

    def _window(self, model: Any, length: Any, environment: Any, version: Any, end: Any) -> Window:
        self._series(model, environment, version)
        length = check_window(length)
        asked = aware(end, "end", MonitoringError) if end is not None else None
        reader = self._reader()
        now = asked or self._stack.clock.now()
        # A clock that was set back must not hide what was counted before.
        latest = None if asked or self._collector is None else self._collector.latest
        try:
            start = now - length
        except OverflowError as error:
            raise MonitoringError(f"time_window: {length} reaches too far into the past - give a shorter one") from error
        return reader.window(reader.series(self.tenant_id, model, environment, version), start, max(now, latest or now))

    def _reader(self) -> Reader:
        """The sink that answers windows, up to date with this facade and with processes that died."""
        collector = self._open()
        reader = Reader.among(collector.sinks)
        collector.drain()
        collector.flush(_WAIT, [reader.name])
        return reader

    def _open(self) -> Collector:
        """The collector, made at the first use; it ends with the facade."""
        if self._collector is not None:
            return self._collector
        with self._opening:
            if self._collector is None:
                sinks, settings = self._stack.parts.sinks, self._stack.settings.monitoring.sample
                if not sinks:
                    raise MonitoringError("monitoring.sinks: there is none - name one, such as sqlite")
                texts = frozenset(name for name, kind in self._stack.settings.drift.schema.items() if kind == "text")
                sampling = Sampling(frozenset(settings.columns), settings.rate, texts) if settings is not None else None
                self._collector = Collector(self._stack.workdir / "spool" / "monitoring", dict(sinks), self._stack.clock, sampling)
                weakref.finalize(self, self._collector.close, _WAIT)
            return self._collector


def _stack(stack: Stack | None, tenant: str | None) -> Stack:
    try:
        from mlops_core.stack import stack_for

        return stack_for(stack, tenant)
    except MLOpsError as error:
        raise MonitoringError(error.message) from error


def _sample(record: Recorder, prediction_id: str | None, features: Mapping[str, Any], prediction: Any) -> None:
    name = prediction_id if prediction_id is not None else uuid.uuid4().hex
    if record.wants(name):
        record.sample(name, {column: (value,) for column, value in features.items()}, {"prediction": (prediction,)})


def _check_features(features: Any) -> None:
    if not isinstance(features, Mapping):
        raise MonitoringError(
            f"features: expected values by column, got {type(features).__name__} - give a mapping such as {{'delay': 12.5}}"
        )


def _check_id(prediction_id: Any) -> None:
    if not isinstance(prediction_id, str) or not 0 < len(prediction_id) <= _LONGEST_ID:
        raise MonitoringError(f"prediction_id: expected text of 1 to {_LONGEST_ID} characters - give a short unique name")


def _check_value(name: Any) -> str:
    try:
        return check_value_name(name)
    except ValueError as error:
        raise MonitoringError(f"values: {error}") from error


def _check_number(name: str, value: Any) -> float:
    number = math.nan
    if not isinstance(value, bool | str | bytes):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = float(value)
    if not math.isfinite(number):
        raise MonitoringError(f"values: {name} is {value!r:.40} - give a finite number")
    return number
