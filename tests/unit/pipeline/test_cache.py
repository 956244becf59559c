import importlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.pipeline.cache import code_digest
from mlops_core.pipeline.making import make_stage
from mlops_core.roles import StageContext
from mlops_core.stack import Stack
from mlops_core.testing.memory_registry import MemoryRegistry

CODE = """
calls = []

def train(context, data, *, depth: int = 3):
    calls.append(depth)
    context.log_metrics({"total": sum(data)})
    return sum(data) * depth
"""


@pytest.fixture
def trees(tmp_path: Path) -> Iterator[ModuleType]:
    """A module of the user, whose file can change."""
    (tmp_path / "trees.py").write_text(CODE)
    sys.path.insert(0, str(tmp_path))
    yield importlib.import_module("trees")
    sys.path.remove(str(tmp_path))
    del sys.modules["trees"]


def run(pipeline: MLOpsPipeline, data: list[int]) -> Any:
    return pipeline.run_pipeline(["training"], inputs={"data": data}).stages[0]


def test_the_same_options_code_and_inputs_are_not_run_again(pipeline: MLOpsPipeline, trees: ModuleType) -> None:
    pipeline.add_stage("training", trees.train, cache=True)
    first, second = run(pipeline, [1, 2]), run(pipeline, [1, 2])

    assert trees.calls == [3]
    assert second.outputs == first.outputs
    assert second.metrics == {"total": 3.0}
    assert (second.attempt, second.seconds, second.summary) == (1, 0.0, "the outputs of an earlier run, by its cache")
    assert pipeline.output("training") == 9


def test_other_inputs_options_or_code_are_run(pipeline: MLOpsPipeline, trees: ModuleType, tmp_path: Path) -> None:
    pipeline.add_stage("training", trees.train, cache=True)
    run(pipeline, [1, 2])
    run(pipeline, [1, 3])
    pipeline.add_stage("training", trees.train, cache=True, depth=4)
    run(pipeline, [1, 2])
    assert trees.calls == [3, 3, 4]
    (tmp_path / "trees.py").write_text(CODE + "# changed\n")
    run(pipeline, [1, 2])
    assert trees.calls == [3, 3, 4, 4]


def test_without_cache_every_run_runs(pipeline: MLOpsPipeline, trees: ModuleType) -> None:
    pipeline.add_stage("training", trees.train)
    run(pipeline, [1])
    run(pipeline, [1])
    assert trees.calls == [3, 3]


def test_tenants_and_pipelines_share_nothing(pipeline: MLOpsPipeline, stack: Stack, trees: ModuleType) -> None:
    pipeline.add_stage("training", trees.train, cache=True)
    run(pipeline, [1])
    for other in (MLOpsPipeline("tickets", "globex", stack=stack), MLOpsPipeline("other", stack=stack)):
        other.add_stage("training", trees.train, cache=True)
        run(other, [1])
    assert trees.calls == [3, 3, 3]


READING = """
from pathlib import Path

calls = []

def collect(*, path: Path, weights=None):
    calls.append(path.name)
    return path.read_text()
"""


def test_a_file_that_an_option_names_is_read_again_once_it_changed(pipeline: MLOpsPipeline, trees: ModuleType, tmp_path: Path) -> None:
    exec(compile(READING, trees.__file__ or "", "exec"), vars(trees))  # noqa: S102  more code of the same module
    pipeline.add_stage("collect", trees.collect, cache=True, path="data.csv")
    found = []
    for text in ("3 rows", "3 rows", "5 rows"):
        (tmp_path / "data.csv").write_text(text)
        report = pipeline.run_pipeline(["collect"])
        assert report.error is None
        found.append(pipeline.output("collect", report.run_id))
    assert found == ["3 rows", "3 rows", "5 rows"]
    assert trees.calls == ["data.csv", "data.csv"]


def test_an_option_that_nobody_can_compare_is_a_mistake_of_the_plan(pipeline: MLOpsPipeline, trees: ModuleType) -> None:
    exec(compile(READING, trees.__file__ or "", "exec"), vars(trees))  # noqa: S102
    pipeline.add_stage("collect", trees.collect, cache=True, path="data.csv", weights=object())
    assert pipeline.check() == (
        "stage 'collect': cache: option 'weights': a object has no digest - give plain values, arrays or paths, or remove 'cache'",
    )


LOOKING_BACK = """
calls = []

def judge(context, data):
    calls.append(context.metrics()["auc"])
    return context.metrics()["auc"] > 0.5

def list_outputs(context, data):
    calls.append(sorted(context.outputs()))
    return len(context.outputs())
"""


@pytest.mark.parametrize("stage", ["judge", "list_outputs"])
def test_what_a_stage_looked_back_at_belongs_to_its_key(pipeline: MLOpsPipeline, trees: ModuleType, tmp_path: Path, stage: str) -> None:
    """Its inputs are the same in every run; what the stage before it measured and made is not."""
    exec(compile(LOOKING_BACK, trees.__file__ or "", "exec"), vars(trees))  # noqa: S102  more code of the same module
    trees.calls.clear()

    @pipeline.stage("training")
    def train(context: StageContext, auc: float) -> float:
        context.log_metrics({"auc": auc, "odd": math.nan})
        return auc

    pipeline.add_stage("judge", getattr(trees, stage), cache=True)
    for auc in (0.9, 0.1, 0.9, 0.1):
        report = pipeline.run_pipeline(["training", "judge"], inputs={"data": [1], "auc": auc})
        assert report.error is None
        assert stage != "judge" or pipeline.output("judge", report.run_id) is (auc > 0.5)
    assert len(trees.calls) == 2


class Losing(MemoryRegistry):
    """Can lose its blobs."""

    contract = 1

    def lose(self) -> None:
        self._blobs.clear()


def test_outputs_that_are_gone_are_made_again(build: Any, trees: ModuleType) -> None:
    registry = Losing()
    pipeline = MLOpsPipeline("tickets", stack=build(registry=registry))
    pipeline.add_stage("training", trees.train, cache=True)
    run(pipeline, [1])
    registry.lose()
    run(pipeline, [1])
    assert trees.calls == [3, 3]
    assert pipeline.output("training") == 3


def test_a_failure_is_not_kept(pipeline: MLOpsPipeline, trees: ModuleType) -> None:
    pipeline.add_stage("training", trees.train, cache=True)
    assert run(pipeline, ["a"]).status == "failed"  # type: ignore[list-item]  # wrong on purpose
    assert run(pipeline, ["a"]).status == "failed"  # type: ignore[list-item]
    assert trees.calls == [3, 3]


def test_code_without_a_file_cannot_be_cached(pipeline: MLOpsPipeline) -> None:
    names: dict[str, Any] = {"__name__": "typed"}
    exec("def train(data):\n    return data", names)  # noqa: S102  what an interactive session does
    pipeline.add_stage("training", names["train"], cache=True)
    assert "is in no file, so a change would go unnoticed" in (run(pipeline, [1]).error or "")


def test_every_module_of_a_package_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "forest"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "stages.py").write_text("def train(data):\n    return data\n")
    (package / "trees.py").write_text("DEPTH = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    stage = make_stage(importlib.import_module("forest.stages").train, {}, tmp_path, "stage 'x'")
    before = code_digest(stage)
    assert code_digest(stage) == before
    (package / "trees.py").write_text("DEPTH = 4\n")
    assert code_digest(stage) != before


def test_the_release_of_the_distribution_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it needs may have changed with it, though the stage's own files did not."""
    (tmp_path / "grove").mkdir()
    (tmp_path / "grove" / "__init__.py").write_text("def train(data):\n    return data\n")
    (tmp_path / "grove-1.dist-info").mkdir()
    (tmp_path / "grove-1.dist-info" / "top_level.txt").write_text("grove\n")
    metadata = tmp_path / "grove-1.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: grove\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    stage = make_stage(importlib.import_module("grove").train, {}, tmp_path, "stage 'x'")
    before = code_digest(stage)
    assert code_digest(stage) == before
    metadata.write_text("Metadata-Version: 2.1\nName: grove\nVersion: 1.1\n")
    assert code_digest(stage) != before
