"""The example runs as its page says, and its stage keeps the contract of stages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.plugins import Loader
from mlops_core.stack import locate
from mlops_core.testing.stage_suite import StageSuite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_core.roles import Stage

HERE = Path(__file__).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example, which writes beside its configuration."""
    return shutil.copytree(HERE, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__", ".mlops"))


class TestDeduplicate(StageSuite):
    """The stage of the example, taken as the configuration takes it."""

    def stage(self) -> Stage:
        cls: Any = Loader(HERE).load("stage", "./stages.py:Deduplicate").cls
        made: Stage = cls(ignore_case=True)
        return made

    def inputs(self) -> Mapping[str, Any]:
        return {"data_collection": [{"text": "It fails", "team": "technical"}, {"text": "it  fails", "team": "technical"}]}


def test_the_example_runs(project: Path) -> None:
    told = subprocess.run([sys.executable, str(project / "run.py")], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:5]] == [
        ["data_collection", "succeeded"],
        ["deduplication", "succeeded"],
        ["training", "succeeded"],
        ["validation", "succeeded"],
        ["deployment", "succeeded"],
    ]
    assert lines[1].endswith("dropped=2")
    assert [line.partition(":")[0] for line in lines[5:]] == ["words of billing", "words of technical", "pipeline status"]
    assert lines[-1] == "pipeline status: succeeded"


def test_tickets_that_differ_in_letters_only_are_one(project: Path) -> None:
    pipeline = MLOpsPipeline("ticket_classifier_pipeline", stack=locate(project))
    pipeline.run_pipeline()
    assert pipeline.output("dropped") == ["i was charged twice for my invoice", "The app  crashes when I open the report"]
    assert len(pipeline.output("tickets")) == 19


def test_an_empty_file_is_one_line(project: Path) -> None:
    (project / "tickets.csv").write_text("text,team\n")
    report = MLOpsPipeline("ticket_classifier_pipeline", stack=locate(project)).run_pipeline()
    assert report.error == ("stage 'data_collection' failed: collect: tickets.csv holds no ticket - give a file with at least one")
