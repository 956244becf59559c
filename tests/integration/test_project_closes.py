"""A project that is closed holds nothing, whoever else is still there; one that is opened again is what its files say."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlops_core import ModelMonitoring, ModelVersioning, Project
from mlops_core.exceptions import VersioningError

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIGURATION = """
version: 1
project: {}
tracker: mlops_core.testing.memory_tracker:MemoryTracker  # MLflow's pool of connections belongs to its process
pipeline: {{stages: {{first: 'steps.py:first'}}}}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "steps.py").write_text("def first(context):\n    return 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "one")
    return tmp_path


def written(root: Path, name: str) -> None:
    (root / "mlops.yaml").write_text(CONFIGURATION.format(name), encoding="utf-8")


def held(root: Path) -> list[str]:
    """Open files of this process below the project."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:  # the listing's own handle
            continue
        if target.startswith(str(root)):
            found.append(target)
    return found


def fails(project: Project) -> None:
    with pytest.raises(VersioningError) as caught:
        project.versioning.get_version("nope")
    KEPT.append(caught.value)


def counts(project: Project) -> None:
    project.monitoring.track_prediction("m", 0.1, success=True)
    project.monitoring.get_metrics("m")


def tracks(project: Project) -> None:
    project.tracker.log_metrics({"loss": 1})
    project.tracker.flush()


KEPT: list[VersioningError] = []
"""Errors that a program keeps, and with them the frames and facades that raised them."""
USES: dict[str, Callable[[Project], object]] = {
    "pipeline": lambda project: project.pipeline().run_pipeline(),
    "versions": lambda project: project.versioning.models(),
    "an error that is kept": fails,
    "deployments": lambda project: project.deployment.list(),
    "monitoring": counts,
    "tracking": tracks,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_closed_project_holds_nothing_and_opens_anew(root: Path, use: Callable[[Project], object]) -> None:
    before = threading.active_count()
    project = Project.open(root)
    use(project)
    assert held(root)
    project.close()
    assert held(root) == []
    assert threading.active_count() == before
    written(root, "two")
    with Project.open(root) as again:
        assert again.settings.project == "two"
        use(again)
    assert held(root) == []
    KEPT.clear()


def test_another_facade_of_the_project_goes_on(root: Path) -> None:
    alone = ModelVersioning()
    with Project.open(root, tenant_id="other") as project:
        project.versioning.models()
        opened = held(root)
    assert opened
    assert held(root) == opened, "the facade uses the same registry"
    assert alone.models() == ()
    del alone
    assert held(root) == []


def test_a_facade_keeps_the_configuration_that_it_was_made_with(root: Path) -> None:
    (root / "mlops.yaml").write_text("version: 1\ntracker: []\nmonitoring: {max_error_rate: 1%}\n", encoding="utf-8")
    old = ModelMonitoring()
    (root / "mlops.yaml").write_text("version: 1\ntracker: []\nmonitoring: {max_error_rate: 60%}\n", encoding="utf-8")
    with old, ModelMonitoring() as new:
        for success in (True, True, True, False):
            old.track_prediction("m", 0.1, success)
        old.flush()
        assert (old.check_health("m").status, new.check_health("m").status) == ("unhealthy", "healthy")
