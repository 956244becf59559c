"""``mlops runs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.project import Project

    from .conftest import Answer


def test_pipeline_runs(mlops: Callable[..., Answer], project: Project) -> None:
    assert mlops("runs").out == "Pipeline runs: none yet - `mlops run`\n"
    mlops("run", "--run-id", "first")
    assert "first" in mlops("runs").out
    (report,) = mlops("runs", "pipeline", "--json").json
    assert report["run_id"] == "first"


def test_tracked_runs(mlops: Callable[..., Answer], project: Project) -> None:
    ids = []
    for depth, loss in ((3, 0.5), (5, 0.2)):
        with project.tracker.start_run(f"depth {depth}", experiment="e") as run:
            run.log_params({"depth": depth})
            run.log_metrics({"loss": loss})
            ids.append(run.run_id)
    assert project.tracker.flush()
    assert "loss=0.5" in mlops("runs", "list").out
    assert [one["run_id"] for one in mlops("runs", "list", "--filter", "metrics.loss < 0.3", "--json").json] == [ids[1]]
    assert mlops("runs", "list", "--experiment", "none", "--json").json == []
    assert "params.depth  3" in mlops("runs", "show", ids[0]).out
    assert mlops("runs", "show", "nothing").code == 1
    assert "params.depth" in mlops("runs", "compare", *ids).out
    assert mlops("runs", "best", "loss", "--minimize", "--json").json[0]["run_id"] == ids[1]
    assert mlops("runs", "best", "nothing").out == "Tracked runs: none found\n"


def test_curves(mlops: Callable[..., Answer], project: Project, tmp_path: Path) -> None:
    with project.tracker.start_run("one", experiment="e") as run:
        for step in range(3):
            run.log_metrics({"loss": 1 / (1 + step), "accuracy": 0.5}, step=step)
    page = tmp_path / "curves.html"
    assert mlops("runs", "curves", run.run_id, "--metric", "loss", "--output", str(page)).out == f"written to {page}\n"
    text = page.read_text()
    assert "<td>loss</td><td>one</td><td>3</td><td>2</td>" in text
    assert "accuracy" not in text
    assert mlops("runs", "curves", run.run_id, "--output", str(tmp_path / "all.png"), "--json").json == {"file": str(tmp_path / "all.png")}
    refused = mlops("runs", "curves", run.run_id, "--metric", "los", "--output", str(page))
    assert (refused.code, refused.err) == (1, "mlops: curves: none of these runs has a metric 'los' - they have accuracy, loss\n")
