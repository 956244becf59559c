"""The tracker role: where experiments and runs are recorded."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from mlops_core.exceptions import CapabilityError
from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from mlops_core.records import Experiment, Metric, Query, RunKey, RunStart, RunStatus, TrackBatch, TrackedRun

__all__ = ["Tracker"]


class Tracker(Backend):
    """Mechanism of experiment tracking. The core adds names, tenancy, the durable spool, fan-out and search.

    Capability ``search``: ``find_experiments``, ``find_runs`` and ``read_metric`` answer.
    """

    __slots__ = ()

    def prepare(self) -> None:
        """Import what is slow to import, and no more: nothing is opened or reached.

        Called by the thread that begins to track, before a thread in the background calls anything that reaches the backend: libraries that
        look for others in ``sys.modules`` do not expect one there that another thread is still importing. Called more than once.

        Raises:
            MLOpsError: It cannot be imported.
        """

    @abstractmethod
    def ensure_experiment(self, tenant: str, name: str, tags: Mapping[str, str]) -> str:
        """Create the experiment if it is missing, merge the tags, and answer the backend's own id."""

    @abstractmethod
    def start_run(self, run: RunStart) -> None:
        """Open a run. One whose key is known is resumed, or with ``join`` left as it is.

        The same ``run_id`` under another tenant or experiment is another run.
        """

    @abstractmethod
    def write(self, run: RunKey, batch: TrackBatch) -> None:
        """Write a batch once per (writer, sequence)."""

    @abstractmethod
    def put_artifact(self, run: RunKey, name: str, path: Path) -> None:
        """Store a file or directory under a relative POSIX name; the same name again replaces it."""

    @abstractmethod
    def end_run(self, run: RunKey, status: RunStatus, at: datetime) -> None:
        """Close the run. Ending twice keeps the later answer."""

    def find_experiments(self, tenant: str, query: Query) -> Iterator[Experiment]:
        """Experiments of the tenant that match."""
        raise CapabilityError(f"tracker: {type(self).__name__} cannot search - name a tracker with 'search' first in the configuration")

    def find_runs(self, tenant: str, query: Query) -> Iterator[TrackedRun]:
        """Runs of the tenant that match."""
        raise CapabilityError(f"tracker: {type(self).__name__} cannot search - name a tracker with 'search' first in the configuration")

    def read_metric(self, run: RunKey, name: str) -> Iterator[Metric]:
        """Every point of a run's metric, by step and then by time; none where the run has no such metric.

        Raises:
            ExperimentError: There is no such run.
        """
        raise CapabilityError(f"tracker: {type(self).__name__} cannot search - name a tracker with 'search' first in the configuration")

    def location(self) -> str:
        """Where a person finds the backend: a URI or a path; empty if there is no such place."""
        return ""
