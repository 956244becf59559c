"""What a serving process counts, and what ``GET /metrics`` tells of all."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field

from mlops_core.roles import Recorder, ServingHost
from mlops_deployer_local.answers import ServerFaultError
from mlops_deployer_local.counts import HELD, OTHER, Counts, Key
from mlops_deployer_local.exposition import BOUNDS, LATENCY, Page
from mlops_deployer_local.process import memory_of
from mlops_deployer_local.state import ServerState, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeAlias

    from mlops_core.records import EndpointKey, SeriesKey
    from mlops_deployer_local.models import Table

    Predict: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]

__all__ = ["Metrics"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_INCOMPLETE: Final = "metrics: what was counted is not complete - the server's log says why"
_PREDICTIONS, _SHADOW, _ERROR = "predictions", "shadow", "error"  # kinds of rows; of an error, what it is one of and its type follow
_NANOSECONDS, _DROPPED, _BUCKETS = 0, 1, 2  # cells of predictions
_CELLS: Final = _BUCKETS + len(BOUNDS) + 1
_PREFIXES: Final = {_PREDICTIONS: "mlops_", _SHADOW: "mlops_shadow_"}
_MOST_TYPES, _LONGEST_TYPE = 32, 100  # of errors, of a series in one process
_TURN: Final = 4  # rows that are written before requests have their turn


@define(eq=False)
class Metrics:
    """What a serving process counts, for ``environment``.

    ``folder`` is the server's; without one this process is alone, and its counts end with it.
    """

    host: ServingHost
    environment: str
    folder: Path | None = None
    counts: Counts = field(init=False)
    _begun: float = field(factory=time.time, init=False)
    _locks: dict[tuple[str, ...], threading.Lock] = field(factory=dict, init=False)
    _types: dict[tuple[str, ...], dict[str, memoryview[int]]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.counts = Counts(None if self.folder is None else self.folder / "metrics")

    def recorder(self, series: SeriesKey, revision: int, *, shadow: bool = False) -> Recorder:
        """The hot path for one variant or shadow: monitoring's, which counts here too."""
        inner = self.host.recorder(series, revision, shadow=shadow)
        owner, kind = (series.tenant, series.model, series.version), _SHADOW if shadow else _PREDICTIONS

        def errors(name: str) -> memoryview[int]:
            return self.counts.row((*owner, _ERROR, kind, name), 1)

        cells = self.counts.row((*owner, kind), _CELLS)
        known = self._types.setdefault((*owner, kind), {})
        if not shadow:  # counted by the event loop alone
            return _Counted(inner, cells, errors, known)
        return _CountedBeside(inner, cells, errors, known, lock=self._locks.setdefault(owner, threading.Lock()))

    def held(self, endpoint: EndpointKey, version: str) -> memoryview[int]:
        """One cell, for the number of requests that a version holds in this process."""
        return self.counts.row((endpoint.tenant, endpoint.model, version, HELD), 1)

    def copying(self, endpoint: EndpointKey, version: str, run: Predict) -> Predict:
        """``run`` of a shadow, which holds a copy while it is called: one that ends the process is to be told from those that answer."""
        cell = self.counts.row((endpoint.tenant, endpoint.model, version, HELD, _SHADOW), 1)
        lock = self._locks.setdefault((endpoint.tenant, endpoint.model, version, HELD), threading.Lock())

        def call(columns: Mapping[str, Any]) -> Mapping[str, Any]:
            with lock:  # the thread of a shadow that was replaced may still be at its last copy
                cell[0] += 1
            try:
                return run(columns)
            finally:
                with lock:
                    cell[0] -= 1

        return call

    async def page(self, tables: Mapping[EndpointKey, Table], tenant: str | None) -> bytes:
        """What a scrape is answered with: of one tenant, or of all.

        Raises:
            ServerFaultError: The counts cannot be read, or are not complete.
        """
        if self.counts.fault:
            raise ServerFaultError(_INCOMPLETE, 503)
        try:
            rows, server = await asyncio.to_thread(lambda: (self.counts.total(), self._server()))
        except (OSError, ValueError) as error:
            _LOG.warning("metrics: what was counted cannot be read: %s", error)
            raise ServerFaultError(_INCOMPLETE, 503) from error
        page = Page()
        for name, value in server.items():
            page.sample(name, {"environment": self.environment}, value)
        self._tell_routes(page, tables, tenant)
        mine = sorted(key for key in rows if tenant in (None, key[0]))
        failures = _failures(mine, rows)
        for number, key in enumerate(mine):
            self._tell_counts(page, key, rows[key], failures)
            if number % _TURN == 0:
                await asyncio.sleep(0)
        return page.text()

    def _tell_counts(self, page: Page, key: Key, cells: Sequence[int], failures: Mapping[Key, int]) -> None:
        labels = self._labels(*key[:3])
        match key[3:]:
            case [kind] if kind == HELD:
                page.sample("mlops_requests_in_flight", labels, cells[0])
            case [kind]:
                prefix, buckets = _PREFIXES[kind], cells[_BUCKETS:]
                page.sample(f"{prefix}predictions_total", labels, sum(buckets))
                page.sample(f"{prefix}predictions_failed_total", labels, failures.get(key, 0))
                page.latencies(f"{prefix}{LATENCY}", labels, buckets, cells[_NANOSECONDS] / 1e9)
                if kind == _SHADOW:
                    page.sample("mlops_shadow_dropped_total", labels, cells[_DROPPED])
            case [_, kind, name]:
                page.sample(f"{_PREFIXES[kind]}prediction_errors_total", {**labels, "type": name}, cells[0])

    def _tell_routes(self, page: Page, tables: Mapping[EndpointKey, Table], tenant: str | None) -> None:
        for key, table in sorted(tables.items(), key=lambda one: (one[0].tenant, one[0].model)):
            if tenant in (None, key.tenant):
                page.sample("mlops_route_revision", self._labels(key.tenant, key.model), table.revision)
                for one in table.variants:
                    page.sample("mlops_route_weight", self._labels(key.tenant, key.model, one.version), one.weight)

    def _server(self) -> dict[str, float]:
        """Of the whole server, which all tenants share."""
        if self.folder is None:
            return _process_figures([os.getpid()], self._begun)
        crashed: dict[str, float] = {"mlops_server_crashes_total": ServerState.read(self.folder / "state.json").crashed}
        info = read_json(self.folder / "server.json")  # none while the server is being shut down
        return crashed if info is None else crashed | _process_figures([pid for pid, _ in info["workers"]], info.get("since"))

    def _labels(self, tenant: str, model: str, *version: str) -> dict[str, str]:
        place = {"tenant": tenant, "environment": self.environment, "model": model}
        return {**place, "version": version[0]} if version else place


def _process_figures(workers: Sequence[int], begun: float | None) -> dict[str, float]:
    """``begun`` is None under a supervisor of an earlier release."""
    memory: dict[str, float] = {"mlops_server_resident_memory_bytes": size} if (size := memory_of(workers)) else {}
    since: dict[str, float] = {} if begun is None else {"mlops_server_start_time_seconds": begun}
    return {"mlops_server_processes": len(workers), **memory, **since}


def _failures(keys: Sequence[Key], rows: Mapping[Key, Sequence[int]]) -> dict[Key, int]:
    """How many of the predictions of a row failed: those of all types, so that the two never disagree."""
    found: dict[Key, int] = {}
    for key in keys:
        match key[3:]:
            case [_, kind, _]:
                whose = (*key[:3], kind)
                found[whose] = found.get(whose, 0) + rows[key][0]
    return found


@define(eq=False)
class _Counted:
    """A recorder that counts in ``cells`` before it hands on to ``inner``; ``errors`` has the cell of a type of error. Of one thread."""

    inner: Recorder
    cells: memoryview[int]
    errors: Callable[[str], memoryview[int]]
    known: dict[str, memoryview[int]]
    wants: Callable[..., bool] = field(init=False)
    sample: Callable[..., None] = field(init=False)
    failed: Callable[..., None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.wants, self.sample, self.failed = self.inner.wants, self.inner.sample, self.inner.failed

    def count(self, seconds: float, success: bool, error: str | None = None, repeated: bool = False) -> None:  # noqa: FBT001, FBT002  the port's signature
        """Count one prediction."""
        cells = self.cells
        cells[_BUCKETS + bisect_left(BOUNDS, seconds)] += 1
        cells[_NANOSECONDS] += int(seconds * 1e9)
        if not success:
            self._error(error or OTHER)[0] += 1
        self.inner.count(seconds, success, error, repeated)

    def drop(self) -> None:
        """Count a copy that was dropped."""
        self.cells[_DROPPED] += 1
        self.inner.drop()

    def _error(self, name: str) -> memoryview[int]:
        if name not in self.known:
            name = name[:_LONGEST_TYPE] if len(self.known) < _MOST_TYPES else OTHER
            self.known[name] = self.errors(name)
        return self.known[name]


@define(eq=False)
class _CountedBeside(_Counted):
    """The same of a shadow, whose thread counts beside that of the one before it, and drops are counted by the event loop.

    ``lock`` is that of the cells.
    """

    lock: threading.Lock = field(kw_only=True)

    def count(self, seconds: float, success: bool, error: str | None = None, repeated: bool = False) -> None:  # noqa: FBT001, FBT002  the port's signature
        """Count one prediction."""
        with self.lock:
            _Counted.count(self, seconds, success, error, repeated)

    def drop(self) -> None:
        """Count a copy that was dropped."""
        with self.lock:
            _Counted.drop(self)
