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


def test_latencies_are_bounded_as_well(mlops: Callable[..., Answer], canary: str, project: Project) -> None:
    mlops("rollback", canary)
    answer = mlops("canary", "start", "line", "2", "--to", "production", "--max-error-rate", "1%", "--slo", "success_rate=90%", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["rollout"]["slo"] == {"error_rate": 0.01, "success_rate": 0.9}
    assert project.deployment.compare(model_id="line", environment="production").kind == "canary"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--slo", "p95_latency"), 2, "--slo 'p95_latency' is not METRIC=BOUND - write p95_latency=0.3"),
        (("--slo", "error_rate=5"), 2, "--slo 'error_rate=5' is not METRIC=BOUND"),
        (("--slo", "error_rate=0.1", "--max-error-rate", "1%"), 2, "error_rate has two objectives"),
        (("--slo", "speed=1"), 2, "unknown metric 'speed'"),
    ],
)
def test_an_objective_has_to_be_one(
    mlops: Callable[..., Answer], versions: tuple[str, str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    answer = mlops("canary", "start", "line", "2", "--to", "production", *arguments)
    assert (answer.code, answer.err.count("\n")) == (code, 1)
    assert said in answer.err


def test_steps_have_to_be_shares(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    answer = mlops("canary", "start", "line", "2", "--to", "production", "--steps", "a,b")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "are not shares - write 5%,25%,100%" in answer.err
