"""A tracker in memory: the reference for every backend."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from attrs import define, evolve, field

from mlops_core.exceptions import ExperimentError
from mlops_core.hookspecs import hookimpl
from mlops_core.records import Experiment, Metric, Query, RunKey, RunStart, RunStatus, TrackBatch, TrackedRun
from mlops_core.roles import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

__all__ = ["MemoryTracker", "mlops_tracker"]


@define(eq=False)
class MemoryTracker(Tracker):
    """Keeps everything in this process; ``points`` holds every point ever written, in order."""

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"search", "in-process"})

    experiments: dict[tuple[str, str], Experiment] = field(factory=dict, init=False)
    runs: dict[RunKey, TrackedRun] = field(factory=dict, init=False)
    points: dict[RunKey, list[Metric]] = field(factory=dict, init=False)
    artifacts: dict[tuple[RunKey, str], Path] = field(factory=dict, init=False)
    _marks: dict[tuple[RunKey, str], int] = field(factory=dict, init=False)
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    def ensure_experiment(self, tenant: str, name: str, tags: Mapping[str, str]) -> str:
        """Create or merge."""
        with self._lock:
            known = self.experiments.get((tenant, name))
            native = known.native_id if known else str(len(self.experiments) + 1)
            merged = {**(known.tags if known else {}), **tags}
            self.experiments[tenant, name] = Experiment(tenant, name, merged, native)
            return native

    def start_run(self, run: RunStart) -> None:
        """Open or resume."""
        with self._lock:
            known = self.runs.get(run.key)
            if known is not None and run.join:
                return
            if known is not None:
                self.runs[run.key] = evolve(known, status=RunStatus.RUNNING, ended=None, tags={**known.tags, **run.tags})
                return
            self.runs[run.key] = TrackedRun(
                run_id=run.key.run_id,
                experiment=run.key.experiment,
                name=run.name,
                tenant=run.key.tenant,
                status=RunStatus.RUNNING,
                started=run.at,
                tags=dict(run.tags),
                parent_run_id=None if run.parent is None else run.parent.run_id,
                native_id=_path(run.key),
            )

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        """Apply once per (writer, sequence)."""
        with self._lock:
            known = self._known(run)
            if batch.sequence <= self._marks.get((run, batch.writer), 0):
                return
            changed = [key for key, value in batch.params.items() if known.params.get(key, value) != value]
            if changed:
                raise ExperimentError(f"tracker memory: run {run.run_id}: param {changed[0]!r} cannot change")
            points = self.points.setdefault(run, [])
            points += batch.metrics
            self.runs[run] = evolve(
                known,
                params={**known.params, **batch.params},
                metrics={**known.metrics, **_last(points)},
                tags={**known.tags, **batch.tags},
            )
            self._marks[run, batch.writer] = batch.sequence

    def put_artifact(self, run: RunKey, name: str, path: Path) -> None:
        """Copy into a private folder."""
        with self._lock:
            self._known(run)
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="mlops-memory-")
            target = Path(self._folder.name) / _path(run) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(path, target)
            else:
                shutil.copy2(path, target)
            self.artifacts[run, name] = target

    def read_artifact(self, run: RunKey, name: str) -> bytes:
        """A stored file's content."""
        for (owner, stored), target in self.artifacts.items():
            if owner == run and (name == stored or name.startswith(f"{stored}/")):
                return Path(f"{target}{name.removeprefix(stored)}").read_bytes()
        raise ExperimentError(f"tracker memory: run {run.run_id} has no artifact {name!r}")

    def end_run(self, run: RunKey, status: RunStatus, at: datetime) -> None:
        """Close."""
        with self._lock:
            self.runs[run] = evolve(self._known(run), status=status, ended=at)

    def find_experiments(self, tenant: str, query: Query) -> Iterator[Experiment]:
        """By the reference evaluation."""
        with self._lock:
            mine = [one for (owner, _), one in self.experiments.items() if owner == tenant]
        yield from query.apply(mine, Experiment.fields).items

    def find_runs(self, tenant: str, query: Query) -> Iterator[TrackedRun]:
        """By the reference evaluation."""
        with self._lock:
            mine = [one for one in self.runs.values() if one.tenant == tenant]
        yield from query.apply(mine, TrackedRun.fields).items

    def read_metric(self, run: RunKey, name: str) -> Iterator[Metric]:
        """In order of the steps."""
        with self._lock:
            self._known(run)
            found = [point for point in self.points.get(run, ()) if point.name == name]
        yield from sorted(found, key=lambda point: (point.step, point.at))

    @property
    def history(self) -> dict[RunKey, list[tuple[str, float, int]]]:
        """Name, value and step of every point, in the order written."""
        return {run: [(point.name, point.value, point.step) for point in points] for run, points in self.points.items()}

    def location(self) -> str:
        """Nowhere that outlives the process."""
        return "memory:"

    def close(self) -> None:
        """Remove the artifacts' folder."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _known(self, run: RunKey) -> TrackedRun:
        try:
            return self.runs[run]
        except KeyError:
            raise ExperimentError(f"tracker memory: no run {run.run_id!r} in experiment {run.experiment!r}") from None


def _path(run: RunKey) -> str:
    return f"{run.tenant}/{run.experiment}/{run.run_id}"


def _last(points: list[Metric]) -> dict[str, float]:
    """Each metric's value at its highest step; of two at the same step, the later."""
    best: dict[str, tuple[int, float]] = {}
    for point in points:
        if point.name not in best or point.step >= best[point.name][0]:
            best[point.name] = (point.step, point.value)
    return {name: value for name, (_, value) in best.items()}


@hookimpl
def mlops_tracker() -> type[Tracker]:
    """Hand over the reference tracker."""
    return MemoryTracker
