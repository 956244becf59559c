"""``mlops monitor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from mlops_core.project import Project

    from .conftest import Answer


def test_a_model_without_data(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("monitor", "line")
    assert answer.code == 0
    assert answer.out.startswith("line: unknown\n")


def test_figures(mlops: Callable[..., Answer], project: Project) -> None:
    for number in range(10):
        project.monitoring.track_prediction("line", 0.1, number > 0, None if number else "ValueError", environment="staging")
    project.monitoring.record_values("line", {"drift.p_value": 0.01}, environment="staging")
    project.monitoring.flush()
    told = mlops("monitor", "line", "--window", "15m", "--environment", "staging", "--json").json
    assert (told["metrics"]["total_predictions"], told["metrics"]["error_rate"]) == (10, 0.1)
    out = mlops("monitor", "line").out
    assert out.startswith("line: unhealthy\n")
    assert "errors: ValueError" in out
    assert "drift.p_value" in out
    assert "Open incidents: none" in out


def test_live_repeats_until_interrupted(mlops: Callable[..., Answer], project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", nap)
    answer = mlops("monitor", "line", "--live")
    assert answer.code == 130
    assert answer.out.count("line: unknown") == 2
