from datetime import timedelta
from typing import Any

import pytest

from mlops_core.config.settings import CanarySettings
from mlops_core.deployment import ModelDeployment
from mlops_core.exceptions import DeploymentError, PlanError, VersioningError
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.pipeline.deployment_stage import DeploymentStage
from mlops_core.records import DeploymentStatus, Entry, NewEntry, RunReport
from mlops_core.stack import Stack
from mlops_core.testing.memory_deployer import MemoryDeployer
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.versioning import ModelVersioning

STAGES = ("collect", "training", "deployment")
MODEL = "ticket_classifier"


def deploy(pipeline: MLOpsPipeline, **arguments: Any) -> RunReport:
    return pipeline.run_pipeline(STAGES, **arguments)


def stack_of(pipeline: MLOpsPipeline) -> Stack:
    return pipeline._stack  # noqa: SLF001  the facades below look at the same stack


def versions(pipeline: MLOpsPipeline) -> list[str]:
    return [one.version for one in ModelVersioning(stack=stack_of(pipeline)).list_versions(MODEL)]


def history(pipeline: MLOpsPipeline, environment: str) -> list[tuple[str, str]]:
    found = ModelDeployment(stack=stack_of(pipeline)).history(MODEL, environment)
    return [(one.version, one.status.value) for one in found]


def test_the_model_is_registered_and_deployed_in_order(shop: Any) -> None:
    pipeline = shop({"to": ["staging", "production"], "alias": "champion", "metadata": {"owner": "support"}})
    report = deploy(pipeline)

    assert report.error is None
    told = pipeline.output("deployment")
    assert (told["model"], told["version"]) == (MODEL, "1")
    assert [(one["environment"], one["deployment_id"], one["status"], one["note"]) for one in told["deployments"]] == [
        ("staging", f"staging/{MODEL}/1", "live", ""),
        ("production", f"production/{MODEL}/1", "live", ""),
    ]
    assert report.stages[2].summary == f"{MODEL} 1; staging: live; production: live"
    assert report.stages[2].params == {"model": MODEL, "version": "1"}
    answer = ModelDeployment(stack=stack_of(pipeline)).predict(MODEL, "production", {"x": [2.0]})
    assert (list(answer.outputs["y"]), answer.version) == ([6.0], "1")
    assert ModelVersioning(stack=stack_of(pipeline)).get_alias(MODEL, "champion").version == "1"


def test_the_version_knows_where_it_comes_from(shop: Any) -> None:
    pipeline = shop({"to": [], "metadata": {"owner": "support"}})
    report = deploy(pipeline)
    version = ModelVersioning(stack=stack_of(pipeline)).get_version(MODEL, "1")

    assert version.run_id == report.run_id
    assert version.key == f"tickets/{report.run_id}/deployment"
    assert version.metadata == {"accuracy": 0.9, "owner": "support"}
    assert version.schema is not None
    assert [column.name for column in version.schema.inputs] == ["x"]
    links = {link.kind: link for link in version.parents}
    assert links["run"].name == f"tickets/{report.run_id}"
    assert (links["data"].name, links["data"].digest) == ("collect.collect", report.stages[0].outputs["collect"].sha256)
    assert links["params"].name == "training"
    assert "environment" in links
    assert history(pipeline, "staging") == []


def test_by_default_only_the_first_environment_is_deployed_to(shop: Any) -> None:
    pipeline = shop()
    deploy(pipeline)
    assert history(pipeline, "staging") == [("1", "live")]
    assert history(pipeline, "production") == []


def test_each_run_makes_a_version_of_its_own(shop: Any) -> None:
    pipeline = shop()
    deploy(pipeline)
    deploy(pipeline)
    assert versions(pipeline) == ["1", "2"]
    assert history(pipeline, "staging") == [("1", "draining"), ("2", "live")]


def test_pipelines_that_name_their_runs_alike_share_nothing(shop: Any) -> None:
    """Both make the same model, and both call their runs by the day."""
    first = shop({"to": ["staging"], "alias": "champion"})
    second = MLOpsPipeline("eu", stack=stack_of(first))

    @second.stage("training")
    def train() -> dict[str, float]:
        return {"factor": 7.0}

    deploy(first, run_id="2013-01-01")
    assert second.run_pipeline(["training", "deployment"], run_id="2013-01-01").error is None
    assert second.output("deployment")["version"] == "2"
    assert history(first, "staging") == [("1", "draining"), ("2", "live")]
    assert list(ModelDeployment(stack=stack_of(first)).predict(MODEL, "staging", {"x": [2.0]}).outputs["y"]) == [14.0]
    assert ModelVersioning(stack=stack_of(first)).get_alias(MODEL, "champion").version == "2"


class Moody(MemoryDeployer):
    """Loads nothing for the first ``failures`` times."""

    contract = 1
    failures = 1

    def load(self, *arguments: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise DeploymentError("deployer: out of memory")
        super().load(*arguments)


def test_a_repeated_attempt_registers_and_deploys_nothing_twice(shop: Any) -> None:
    pipeline = shop({"to": ["staging", "production"]}, environments={"staging": MemoryDeployer(), "production": Moody()})
    failed = deploy(pipeline)
    assert "out of memory" in (failed.error or "")
    assert deploy(pipeline, resume=True).error is None
    assert versions(pipeline) == ["1"]
    assert history(pipeline, "staging") == [("1", "live")]
    assert history(pipeline, "production") == [("1", "failed"), ("1", "live")]


class Forgetful(MemoryRegistry):
    """Loses the entry that says that the deployment succeeded, once."""

    contract = 1
    lost = False

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        if not self.lost and "deployment" in entry.change.get("results", {}) and entry.kind == "stage_succeeded":
            self.lost = True
            raise VersioningError("registry: the connection was lost")
        return super().append(tenant, journal, expected, entry)


def test_an_effect_whose_entry_is_missing_is_not_repeated(shop: Any) -> None:
    pipeline = shop({"to": ["staging"], "alias": "champion"}, registry=Forgetful())
    with pytest.raises(Exception, match="connection was lost"):
        deploy(pipeline)
    assert deploy(pipeline, resume=True).error is None
    assert versions(pipeline) == ["1"]
    assert history(pipeline, "staging") == [("1", "live")]
    assert len(ModelVersioning(stack=stack_of(pipeline)).alias_history(MODEL, "champion")) == 1


CANARY = {"steps": ["25%", "100%"], "step_time": "1m", "min_requests": 10, "deadline": "10m"}


def test_the_first_version_of_an_endpoint_skips_the_canary_and_says_so(shop: Any) -> None:
    pipeline = shop({"to": ["production"], "canary": CANARY})
    report = deploy(pipeline)
    assert report.error is None
    assert history(pipeline, "production") == [("1", "live")]
    assert "production: live (" in report.stages[2].summary


def test_a_canary_that_nobody_can_judge_holds_the_run(shop: Any) -> None:
    """Without traffic it is paused at its deadline; rolled back by hand, the resumed stage fails."""
    pipeline = shop({"to": ["production"], "canary": CANARY, "alias": "champion"})
    deploy(pipeline)
    held = deploy(pipeline)

    number = f"production/{MODEL}/2"
    assert held.status == "held"
    assert (held.error or "").startswith(f"canary {number} is paused at 25%: ")
    assert f"`mlops canary resume {number}`, then `mlops run --resume`" in (held.error or "")
    assert ModelVersioning(stack=stack_of(pipeline)).get_alias(MODEL, "champion").version == "1", "it is not in use yet"

    ModelDeployment(stack=stack_of(pipeline)).rollback_deployment(number)
    failed = pipeline.run_pipeline(resume=True, run_id=held.run_id)
    assert failed.status == "failed"
    assert f"deployment {number} is rolled_back" in (failed.error or "")
    assert versions(pipeline) == ["1", "2"]


def test_a_canary_that_is_promoted_lets_the_run_succeed(shop: Any) -> None:
    pipeline = shop({"to": ["staging", "production"], "canary": {**CANARY, "at_deadline": "promote"}})
    deploy(pipeline)
    report = deploy(pipeline)
    assert report.error is None
    assert history(pipeline, "production")[-1] == ("2", "live")
    assert history(pipeline, "staging")[-1] == ("2", "live")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to": [], "canary": CANARY}, "canary: there is no environment"),
        ({"model": "a b"}, "is not a name"),
    ],
)
def test_what_cannot_be_deployed_is_not_registered_either(shop: Any, options: dict[str, Any], said: str) -> None:
    pipeline = shop(options)
    assert said in (deploy(pipeline).error or "")
    assert versions(pipeline) == []


def test_options_are_checked_before_anything_runs(shop: Any) -> None:
    with pytest.raises(PlanError, match="stage 'deployment': to: no environment 'prodction' - did you mean 'production'"):
        deploy(shop({"to": ["prodction"]}))
    pipeline = shop({"to": "staging", "canary": {"steps": [5]}})
    problems = "\n".join(pipeline.check())
    assert "to: expected a list" in problems
    assert "canary.steps" in problems
    assert DeploymentStage(canary=CanarySettings(step_time=timedelta(0))).canary is not None


def test_states_that_a_finished_rollout_may_have_meanwhile(shop: Any) -> None:
    """A deployment that a later one has replaced before the run was resumed is no failure."""
    registry = Forgetful()
    pipeline = shop({"to": ["staging"]}, registry=registry)
    with pytest.raises(Exception, match="connection was lost"):
        deploy(pipeline)
    lost = pipeline.get_pipeline_status().run_id
    stack_of(pipeline).clock.sleep(60)
    deploy(pipeline)
    report = pipeline.run_pipeline(resume=True, run_id=lost)
    assert report.error is None
    assert pipeline.output("deployment", lost)["deployments"][0]["status"] == DeploymentStatus.DRAINING
