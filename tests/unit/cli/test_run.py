"""``mlops run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.cli.run import outcome
from mlops_core.project import Project
from mlops_core.records import StageResult, StageStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Answer

SLOW = """
import pathlib


def collect(context):
    for done in range(3):
        context.progress(done, 3, "files")
        context.progress(done)
    return {"x": [1.0]}


def train(context, collect):
    if not pathlib.Path("mended").exists():
        raise ValueError("not yet")
    context.log_metrics({"score": 0.25})
    return {"slope": 1.0}
"""


def test_the_pipeline_runs(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("run", "--run-id", "first")
    assert (answer.code, answer.err) == (0, "")
    assert "train                succeeded" in answer.out
    assert "score=0.75" in answer.out
    assert answer.out.endswith("run first: succeeded\n")


def test_json_is_the_report_alone(mlops: Callable[..., Answer], project: Project) -> None:
    report = mlops("run", "collect", "--json").json
    assert (report["status"], [one["stage"] for one in report["stages"]]) == ("succeeded", ["collect"])


def test_a_failing_stage_exits_1(mlops: Callable[..., Answer], project: Project, tmp_path: Path) -> None:
    text = (tmp_path / "mlops.yaml").read_text()
    (tmp_path / "mlops.strict.yaml").write_text("pipeline: {stages: {validation: {require: {score: {min: 0.9}}}}}")
    answer = mlops("run", "--run-id", "r1", "--profile", "strict")
    assert answer.code == 1
    assert "score 0.75 is below 0.9" in answer.out
    assert text == (tmp_path / "mlops.yaml").read_text()


def test_unknown_stages_are_one_line(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("run", "colect")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "'colect'" in answer.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("collect", "collect"), "stage 'collect' is there twice"),
        (("--run-id", "a b"), "run_id: 'a b' is not a name"),
        (("--resume", "--run-id", "a b"), "run_id: 'a b' is not a name"),
        (("--resume", "train"), "has the stages collect - resume these, or start a new run"),
    ],
)
def test_wrong_input_exits_2(mlops: Callable[..., Answer], project: Project, given: tuple[str, ...], said: str) -> None:
    assert mlops("run", "collect").code == 0
    answer = mlops("run", *given)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_resume_goes_on_with_the_newest_run_and_begins_one_where_there_is_none(mlops: Callable[..., Answer], project: Project) -> None:
    first = mlops("run", "--resume", "--json").json
    assert first["status"] == "succeeded"
    assert mlops("run", "--resume", "--json").json["run_id"] == first["run_id"]
    assert [line.split()[:2] for line in mlops("run", "--resume").out.splitlines()] == [
        ["collect", "succeeded"],
        ["train", "succeeded"],
        ["validation", "succeeded"],
        ["run", f"{first['run_id']}:"],
    ]


@pytest.fixture
def failing(project: Project, tmp_path: Path) -> Iterator[None]:
    """A profile whose stage fails at first; its backends in memory live as long as the test."""
    (tmp_path / "stages.py").write_text(SLOW)
    (tmp_path / "mlops.twice.yaml").write_text(
        "pipeline: {stages: {collect: {}, train: {retries: 1}, validation: {require: {score: {min: 0.5}}, when: 'score > 0.5'}}}"
    )
    with Project.open(tmp_path, profile="twice"):
        yield


@pytest.mark.usefixtures("failing")
def test_attempts_and_what_was_done_before_are_told(mlops: Callable[..., Answer], tmp_path: Path) -> None:
    answer = mlops("run", "--profile", "twice", "--run-id", "r1")
    assert answer.code == 1
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert [line.split()[:2] for line in lines[:3]] == [["collect", "succeeded"], ["train", "failed"], ["train", "failed"]]
    assert "attempt 1: " in lines[1]
    assert "attempt 1: " not in lines[2]
    assert "not yet" in lines[3]
    (tmp_path / "mended").touch()
    again = mlops("run", "--profile", "twice", "--resume").out
    assert [line.split()[:2] for line in again.splitlines()] == [
        ["collect", "succeeded"],
        ["train", "succeeded"],
        ["validation", "skipped"],
        ["run", "r1:"],
    ]


@pytest.mark.usefixtures("failing")
def test_a_terminal_shows_how_far_a_stage_is(
    mlops: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("rich.status.Status.update", lambda _, text: said.append(text.plain.strip()))
    assert mlops("run", "collect").code == 0
    assert said == [
        "collect is running",
        *(told for done in range(3) for told in (f"collect is running: {done} of 3 files", f"collect is running: {done}")),
    ]


def test_a_reader_that_goes_away_ends_no_run(project: Project, mlops: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: object, text: str, **__: object) -> None:
        if text.startswith("  "):
            raise BrokenPipeError

    monkeypatch.setattr("mlops_core.cli.output.Output.line", gone)
    assert mlops("run", "--run-id", "unseen").code == 0
    assert project.pipeline().get_pipeline_status("unseen").status == "succeeded"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"error": "broken", "summary": "s"}, "broken"),
        ({"summary": "done", "metrics": {"auc": 1.0}}, "done"),
        ({"metrics": {"baseline_auc": 0.5, "auc": 0.91234, "b": 1.0, "c": 2.0, "d": 3.0, "e": 4.0}}, "auc=0.9123, b=1, c=2, d=3"),
        ({}, ""),
    ],
)
def test_what_a_stage_has_to_tell(said: dict[str, object], told: str) -> None:
    assert outcome(StageResult("train", StageStatus.SUCCEEDED, **said)) == told  # type: ignore[arg-type]  # by name, as the case says
