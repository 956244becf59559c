"""``mlops canary``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.project import Project

    from .conftest import Answer


@pytest.fixture
def canary(mlops: Callable[..., Answer], versions: tuple[str, str]) -> str:
    mlops("deploy", "line", "1", "--to", "production")
    args = ("--to", "production", "--steps", "50%,100%", "--step-time", "0s", "--min-requests", "5", "--max-error-rate", "0.1")
    answer = mlops("canary", "start", "line", "2", *args, "--json")
    assert answer.code == 0, answer.err
    return str(answer.json["deployment_id"])


def test_it_advances_with_requests(mlops: Callable[..., Answer], canary: str, project: Project) -> None:
    mlops("canary", "advance")
    assert "canary: 2 at 50%" in mlops("deployments").out
    for _ in range(60):
        project.deployment.predict("line", "production", {"x": [1.0]})
    project.monitoring.flush()
    for _ in range(5):
        mlops("canary", "advance")
    assert project.deployment.get(canary).status == "live"


def test_pause_and_resume(mlops: Callable[..., Answer], canary: str) -> None:
    mlops("canary", "advance")
    assert mlops("canary", "pause", canary, "--json").json["status"] == "paused"
    assert mlops("canary", "resume", canary, "--json").json["status"] == "canary"
    assert mlops("canary", "pause", "production/line/99").code == 1


def test_steps_have_to_be_shares(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    answer = mlops("canary", "start", "line", "2", "--to", "production", "--steps", "a,b")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "are not shares - write 5%,25%,100%" in answer.err
