"""What the tests of the pipeline stand on."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from mlops_core.builtin.inline_executor import InlineExecutor
from mlops_core.builtin.json_format import JsonFormat
from mlops_core.builtin.npy_format import NpyFormat
from mlops_core.config.settings import PipelineSettings, Settings, StageSettings
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.records import Schema
from mlops_core.roles import Predictor, StageContext
from mlops_core.stack import Stack
from mlops_core.testing.memory_deployer import MemoryDeployer
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Make a stack in memory, with further settings and parts; closed afterwards."""
    stacks: list[Stack] = []

    def built(*, executors: Any = None, **given: Any) -> Stack:
        names = {"pipeline", "executor", "monitoring", "models"} & set(given)
        settings = Settings(**{name: given.pop(name) for name in names})
        parts: dict[str, Any] = {"registry": MemoryRegistry(), "formats": {"json": JsonFormat(), "npy": NpyFormat()}, **given}
        stacks.append(make_stack(tmp_path, settings=settings, executors=executors or {"inline": InlineExecutor()}, **parts))
        return stacks[-1]

    yield built
    for one in stacks:
        one.parts.close()


@pytest.fixture
def stack(build: Callable[..., Stack]) -> Stack:
    return build()


@pytest.fixture
def pipeline(stack: Stack) -> MLOpsPipeline:
    """Without stages."""
    return MLOpsPipeline("tickets", stack=stack)


class Doubling:
    """Predicts a multiple of its input."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def predict(self, columns: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"y": columns["x"] * self.factor}


@define(eq=False)
class ModelFormat(JsonFormat):
    """JSON documents that are models."""

    contract = 1
    name = "json"
    capabilities = frozenset({"predict"})

    def predictor(self, value: Any, schema: Schema | None) -> Predictor:
        return Doubling(value["factor"])


SCHEMA = {"inputs": [{"name": "x", "dtype": "float64"}], "outputs": [{"name": "y", "dtype": "float64"}]}


@pytest.fixture
def shop(build: Callable[..., Stack]) -> Callable[..., MLOpsPipeline]:
    """A pipeline that trains a model and deploys it in memory: options of the stage ``deployment``, and further parts."""

    def opened(options: Mapping[str, Any] | None = None, *, stages: tuple[StageSettings, ...] = (), **parts: Any) -> MLOpsPipeline:
        places = {"environments": {"staging": MemoryDeployer(), "production": MemoryDeployer()}}
        configured = PipelineSettings("tickets", "ticket_classifier", (StageSettings("deployment", options=options or {}), *stages))
        given = {"formats": {"json": ModelFormat()}, "pipeline": configured, **places, **parts}
        pipeline = MLOpsPipeline("tickets", stack=build(**given))

        @pipeline.stage("collect")
        def collect() -> list[float]:
            return [1.0, 2.0]

        @pipeline.stage("training", outputs=["model", "schema"])
        def train(context: StageContext, collect: list[float]) -> Any:
            context.log_metrics({"accuracy": 0.9, "loss": math.nan})
            context.log_params({"rows": len(collect)})
            return {"factor": sum(collect)}, SCHEMA

        return pipeline

    return opened
