"""A tracker without search says so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlops_core.exceptions import CapabilityError
from mlops_core.records import Query, RunKey, RunStart, RunStatus, TrackBatch
from mlops_core.roles import Tracker

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mute(Tracker):
    contract = 1

    def ensure_experiment(self, tenant: str, name: str, tags: Mapping[str, str]) -> str:
        return name

    def start_run(self, run: RunStart) -> None:
        """Nothing is kept."""

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        """Nothing is kept."""

    def put_artifact(self, run: RunKey, name: str, path: Path) -> None:
        """Nothing is kept."""

    def end_run(self, run: RunKey, status: RunStatus, at: datetime) -> None:
        """Nothing is kept."""


def test_search_is_a_capability() -> None:
    tracker = Mute()
    for find in (tracker.find_experiments, tracker.find_runs):
        with pytest.raises(CapabilityError, match="tracker: Mute cannot search - name a tracker with 'search'"):
            find("acme", Query())
    with pytest.raises(CapabilityError, match="tracker: Mute cannot search"):
        tracker.read_metric(RunKey("acme", "e", "r"), "loss")
    assert tracker.location() == ""
    tracker.prepare()  # nothing is slow


def test_the_mechanism_is_five_methods() -> None:
    assert len(Tracker.__abstractmethods__) == 5
    tracker = Mute()
    run = RunKey("acme", "e", "r")
    tracker.end_run(run, RunStatus.FINISHED, datetime.now(UTC))
    tracker.put_artifact(run, "a", Path())
