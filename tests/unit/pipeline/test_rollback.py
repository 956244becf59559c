from typing import Any

import pytest

from mlops_core.config.settings import StageSettings
from mlops_core.deployment import ModelDeployment
from mlops_core.exceptions import DeploymentError, PipelineError, VersioningError
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.records import Entry, NewEntry
from mlops_core.testing.memory_deployer import MemoryDeployer
from mlops_core.testing.memory_registry import MemoryRegistry

MODEL = "ticket_classifier"


def with_monitoring(shop: Any, **parts: Any) -> MLOpsPipeline:
    """A pipeline whose last stage fails when it is told to, and takes the deployment back then."""
    pipeline: MLOpsPipeline = shop({"to": ["staging", "production"]}, stages=(StageSettings("monitoring", on_failure="rollback"),), **parts)
    broken: list[bool] = []

    @pipeline.stage("monitoring")
    def monitor(deployment: Any) -> None:
        if broken:
            raise ValueError("it answers nonsense")
        broken.append(True)

    return pipeline


def history(pipeline: MLOpsPipeline, environment: str) -> list[tuple[str, str]]:
    facade = ModelDeployment(stack=pipeline._stack)  # noqa: SLF001  the same stack
    return [(one.version, one.status.value) for one in facade.history(MODEL, environment)]


STAGES = ["collect", "training", "deployment", "monitoring"]


def test_a_failing_stage_takes_back_what_its_run_deployed(shop: Any) -> None:
    pipeline = with_monitoring(shop)
    assert pipeline.run_pipeline(STAGES).error is None
    report = pipeline.run_pipeline(STAGES)

    assert report.status == "failed"
    assert report.error == (
        f"stage 'monitoring' failed: ValueError: it answers nonsense; production/{MODEL}/2 is rolled_back; staging/{MODEL}/2 is rolled_back"
    )
    assert history(pipeline, "production") == [("1", "live"), ("2", "rolled_back")]
    assert history(pipeline, "staging") == [("1", "live"), ("2", "rolled_back")]


def test_a_run_of_the_same_id_in_another_pipeline_keeps_its_deployment(shop: Any) -> None:
    pipeline = with_monitoring(shop)
    pipeline.run_pipeline(STAGES, run_id="2013-01-01")
    other = MLOpsPipeline("other", stack=pipeline._stack)  # noqa: SLF001  the same stack

    @other.stage("collect", on_failure="rollback")
    def collect() -> None:
        raise ValueError("no")

    report = other.run_pipeline(["collect"], run_id="2013-01-01")
    assert report.error == "stage 'collect' failed: ValueError: no; it had deployed nothing that could be rolled back"
    assert history(pipeline, "production") == [("1", "live")]


def test_a_run_that_was_rolled_back_is_not_resumed(shop: Any) -> None:
    pipeline = with_monitoring(shop)
    pipeline.run_pipeline(STAGES)
    rolled_back = pipeline.run_pipeline(STAGES)
    with pytest.raises(PipelineError, match="was rolled back, and cannot be resumed - start a new run"):
        pipeline.run_pipeline(resume=True, run_id=rolled_back.run_id)


def test_a_failure_before_the_deployment_has_nothing_to_take_back(shop: Any) -> None:
    pipeline = with_monitoring(shop)

    @pipeline.stage("training", on_failure="rollback", outputs=["model"])
    def train(collect: Any) -> Any:
        raise ValueError("no")

    report = pipeline.run_pipeline(STAGES)
    assert report.error == "stage 'training' failed: ValueError: no; it had deployed nothing that could be rolled back"


class Stuck(MemoryDeployer):
    """Its routes cannot be moved once it is stuck."""

    contract = 1
    stuck = False

    def set_routes(self, *arguments: Any) -> int:
        if self.stuck:
            raise DeploymentError("deployer: no answer")
        return super().set_routes(*arguments)


def test_a_rollback_that_fails_is_told_and_stops_no_other(shop: Any) -> None:
    deployer = Stuck()
    pipeline = with_monitoring(shop, environments={"staging": MemoryDeployer(), "production": deployer})
    pipeline.run_pipeline(STAGES)

    @pipeline.stage("monitoring", on_failure="rollback")
    def monitor(deployment: Any) -> None:
        deployer.stuck = True
        raise ValueError("nonsense")

    failed = pipeline.run_pipeline(STAGES, run_id="second")
    error = failed.error or ""
    assert f"production/{MODEL}/2 could not be rolled back: " in error
    assert f"staging/{MODEL}/2 is rolled_back - resume the run to try again" in error

    deployer.stuck = False
    resumed = pipeline.run_pipeline(resume=True, run_id="second")
    assert resumed.status == "failed"
    assert resumed.error == (
        f"stage 'monitoring' failed: ValueError: nonsense; production/{MODEL}/2 is rolled_back; staging/{MODEL}/2 is rolled_back"
    )
    with pytest.raises(PipelineError, match="was rolled back, and cannot be resumed - start a new run"):
        pipeline.run_pipeline(resume=True, run_id="second")


class Full(MemoryRegistry):
    """Refuses the entry that ends a run, once it is full."""

    contract = 1
    full = False

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        if self.full and entry.kind == "finished":
            raise VersioningError("registry: the disk is full")
        return super().append(tenant, journal, expected, entry)


def test_a_run_that_died_while_it_was_rolled_back_runs_no_stage_again(shop: Any) -> None:
    """The cause is mended meanwhile, and the plan is wrong: a resumed run would succeed, or be refused, without what it deployed."""
    registry = Full()
    pipeline = with_monitoring(shop, registry=registry)
    pipeline.run_pipeline(STAGES)
    registry.full = True
    with pytest.raises(PipelineError, match="the disk is full"):
        pipeline.run_pipeline(STAGES, run_id="second")
    registry.full = False
    assert history(pipeline, "production")[-1] == ("2", "rolled_back")
    assert pipeline.get_pipeline_status("second").status == "interrupted"

    calls: list[int] = []
    pipeline.add_stage("monitoring", lambda nowhere: calls.append(1))
    resumed = pipeline.run_pipeline(resume=True, run_id="second")
    assert (resumed.status, calls) == ("failed", [])
    assert resumed.error == (
        f"stage 'monitoring' failed: ValueError: it answers nonsense; production/{MODEL}/2 is rolled_back; staging/{MODEL}/2 is rolled_back"
    )
    assert [one.attempt for one in resumed.stages] == [1, 1, 1, 1]


class Blind(MemoryDeployer):
    """Cannot be looked at any more once it is blind."""

    contract = 1
    blind = False

    def observe(self, *arguments: Any, **named: Any) -> Any:
        if self.blind:
            raise DeploymentError("deployer: no answer")
        return super().observe(*arguments, **named)


def test_deployments_that_cannot_be_found_are_told(shop: Any) -> None:
    deployer = Blind()
    pipeline = with_monitoring(shop, environments={"staging": MemoryDeployer(), "production": deployer})

    @pipeline.stage("monitoring", on_failure="rollback")
    def monitor(deployment: Any) -> None:
        deployer.blind = True
        raise ValueError("nonsense")

    error = pipeline.run_pipeline(STAGES).error or ""
    assert error.startswith("stage 'monitoring' failed: ValueError: nonsense; what it deployed could not be found: ")
    assert error.endswith(" - resume the run to try again")
