"""The facade of monitoring."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from mlops_core.clock import aware
from mlops_core.exceptions import MonitoringError, checks_input
from mlops_core.monitoring.alerts import Alerts
from mlops_core.monitoring.arguments import check_id
from mlops_core.monitoring.counting import WAIT, Counting
from mlops_core.monitoring.history import History, check_steps
from mlops_core.monitoring.metrics import Metrics
from mlops_core.monitoring.reading import Reader, check_window, erase, join_all, roll_up_all
from mlops_core.records import HealthReport, Window, assess_health

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlops_core.records import SeriesKey

__all__ = ["ModelMonitoring"]

_HOUR: Final = timedelta(hours=1)
_MATCHING: Final = 0.1  # seconds of a read


class ModelMonitoring(Counting, Alerts):
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

        This facade's own earlier calls are in it, whatever other processes counted follows within a second.

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

    def failures(
        self,
        model_id: str,
        time_window: timedelta = _HOUR,
        *,
        environment: str | None = None,
        version: str | None = None,
        end: datetime | None = None,
    ) -> list[Mapping[str, Any]]:
        """Some of the predictions that failed in a window, newest first, for debugging; where ``monitoring.sample`` names columns.

        Each has ``prediction_id``, ``at``, ``error`` and the ``features`` that may be kept. They are the first few of each flush, not a
        uniform sample: no figure is to be derived from them. The arguments are those of ``get_metrics``.
        """
        reader, keys, start, until = self._asked(model_id, time_window, environment, version, end)
        return reader.failures(keys, start, until)

    def history(
        self,
        model_id: str,
        time_window: timedelta = _HOUR,
        steps: int = 60,
        *,
        environment: str | None = None,
        version: str | None = None,
        end: datetime | None = None,
    ) -> History:
        """The window [end - time_window, end) in so many steps of equal length, 1 to 1,000, with its figures as a whole and by version."""
        count = check_steps(steps)
        reader, keys, start, until = self._asked(model_id, time_window, environment, version, end)
        most = self._stack.settings.monitoring.max_error_rate
        about = (model_id, environment, version)
        return History.read(reader, keys, start, until, count, about=about, max_error_rate=most)

    # -- upkeep

    def drain(self) -> int:
        """Deliver what processes that died left in their spools; answers how many segments. A pass of the control loop."""
        return self._open().drain()

    def roll_up(self, now: datetime | None = None, *, recent: timedelta | None = None) -> int:
        """Match outcomes, merge older figures to coarser resolutions and erase what is too old, as ``monitoring.retention`` says.

        A pass of the control loop. Answers how many segments were merged or erased. With ``recent`` only what reached the age of a
        resolution in that time is looked at, and nothing erased.

        Raises:
            MonitoringError: A sink does not answer; the others are rolled up all the same.
        """
        at = aware(now, "now", MonitoringError) if now is not None else self._stack.clock.now()
        if self._truth is not None:
            join_all(self._open().sinks, self.tenant_id, self._truth.tally)
        return roll_up_all(self._open().sinks, self.tenant_id, self._stack.settings.monitoring.levels, at, recent)

    def expire(self, now: datetime | None = None) -> int:
        """Erase what is kept of single predictions for longer than ``monitoring.sample`` and ``.ground_truth`` say; a pass of its own.

        Where one of them is not configured, all of its is erased. Answers how many rows.

        Raises:
            MonitoringError: As for ``purge``.
        """
        at = aware(now, "now", MonitoringError) if now is not None else self._stack.clock.now()
        settings = self._stack.settings.monitoring
        ages = {"samples": settings.sample, "log": settings.ground_truth}
        return self._erase([{"before": at - kept.retention if kept else at, "part": part} for part, kept in ages.items()])

    def purge(self, *, before: datetime | None = None, ids: Sequence[str] = ()) -> int:
        """Erase what is kept of single predictions of this tenant: samples, failures and the prediction log; counts and figures stay.

        Args:
            before: Of all predictions before this time, with a zone.
            ids: Of these predictions.

        Returns:
            How many rows the sinks erased.

        Raises:
            MonitoringError: Nothing is named; a sink that answers windows cannot erase; or it does not answer.
        """
        if before is None and not ids:
            raise MonitoringError("purge: nothing is named - give before= or ids=")
        for name in ids:
            checks_input(check_id)(name)
        until = aware(before, "before", MonitoringError) if before is not None else None
        return self._erase([{"before": until, "ids": tuple(ids)}])

    # -- inside

    def _erase(self, what: Sequence[Mapping[str, Any]]) -> int:
        """Erase from every sink that keeps rows. What is on its way to any sink waits in a spool, and has to arrive first."""
        collector = self._open()
        late = ""
        try:
            collector.drain()
            late = collector.behind
            collector.renew()
            collector.flush(WAIT)
        except MonitoringError as error:  # what the sinks have is erased all the same
            late = error.message
        if self._truth is not None:  # what is known of predictions stays
            join_all(collector.sinks, self.tenant_id, self._truth.tally)
        count = sum(erase(collector.sinks, self.tenant_id, **one) for one in what)
        if late:
            raise MonitoringError(f"purge: {count} rows are erased, but not those in spools: {late}")
        return count

    def _window(self, model: Any, length: Any, environment: Any, version: Any, end: Any) -> Window:
        reader, keys, start, until = self._asked(model, length, environment, version, end)
        return reader.window(keys, start, until)

    def _asked(
        self, model: Any, length: Any, environment: Any, version: Any, end: Any
    ) -> tuple[Reader, list[SeriesKey], datetime, datetime]:
        """Who answers, which series there are, from when to when."""
        self._series(model, environment, version)
        length = check_window(length)
        asked = aware(end, "end", MonitoringError) if end is not None else None
        reader = evolve(self._reader(), shadows=version is not None)
        return reader, reader.series(self.tenant_id, model, environment, version), *self._bounds(length, asked)

    def _bounds(self, length: timedelta, asked: datetime | None) -> tuple[datetime, datetime]:
        now = asked or self._stack.clock.now()
        # A clock that was set back must not hide what was counted before.
        latest = None if asked or self._collector is None else self._collector.latest
        try:
            return now - length, max(now, latest or now)
        except OverflowError as error:
            raise MonitoringError(f"time_window: {length} reaches too far into the past - give a shorter one") from error

    def _reader(self) -> Reader:
        """The sink that answers windows, up to date with this facade and with processes that died."""
        collector = self._open()
        reader = Reader.among(collector.sinks)
        collector.drain()
        collector.flush(WAIT, [reader.name])
        if self._truth is not None:
            clock = self._stack.clock
            enough = clock.monotonic() + _MATCHING  # a file of many outcomes holds no window up: the control loop goes on with it
            reader.join(self.tenant_id, self._truth.tally, lambda: clock.monotonic() > enough)
        return reader
