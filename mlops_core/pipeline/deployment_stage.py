"""The built-in stage ``deployment``: register the model with its lineage, then put it into use, environment by environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field

from mlops_core.artifacts import Artifacts
from mlops_core.artifacts.scratch import scratch
from mlops_core.config.settings import CanarySettings
from mlops_core.deployment import ModelDeployment
from mlops_core.deployment.canary import check_plan
from mlops_core.exceptions import DeploymentError, PipelineError
from mlops_core.names import check_name
from mlops_core.pipeline.context import RunContext
from mlops_core.pipeline.lineage import parents_of
from mlops_core.records import ArtifactRef, Deployment, DeploymentStatus
from mlops_core.roles import DriftTest, Stage
from mlops_core.structure import nearest
from mlops_core.versioning import ModelVersioning

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

    from mlops_core.roles import StageContext
    from mlops_core.stack import Stack

__all__ = ["DeploymentStage"]

_DONE: Final = frozenset({DeploymentStatus.LIVE, DeploymentStatus.DRAINING, DeploymentStatus.RETIRED})
_HELD: Final = frozenset({DeploymentStatus.PAUSED, DeploymentStatus.CANARY})


@define(eq=False)
class DeploymentStage(Stage):
    """Registers ``model`` once per run, whatever is repeated, and deploys it in the order of ``to``; the last by canary, if there is one.

    Answers the version and its deployments. A canary that is rolled back fails the stage, one that is held holds the run.
    """

    contract: ClassVar[int] = 1
    cacheable: ClassVar[bool] = False
    unread: ClassVar[frozenset[str]] = frozenset({"model"})
    usual: ClassVar[Mapping[str, str]] = {"model": "training"}

    to: tuple[str, ...] | None = field(
        default=None, metadata={"help": "environments in order, such as [staging, production]; none: the first; []: only register"}
    )
    canary: CanarySettings | None = field(default=None, metadata={"help": "steps of the last environment's canary; none: all at once"})
    model: str = field(default="", metadata={"help": "the registered model; none: pipeline.model"})
    version: str | None = field(default=None, metadata={"help": "the version's name; none: the next number"})
    metadata: Mapping[str, Any] = field(factory=dict, metadata={"help": "further metadata of the version, beside the run's metrics"})
    alias: str = field(default="", metadata={"help": "alias that points to the version once it is deployed, such as champion"})
    load_timeout: float = field(
        default=300.0, metadata={"help": "seconds that a load, and new routes until they hold, may take in each environment"}
    )

    def run(self, context: StageContext, model: Any, schema: Any = None, reference: Any = None) -> Any:
        """Register and deploy.

        Args:
            context: What the run hands to a stage.
            model: The trained model, passed on as it was stored.
            schema: Its inputs and outputs, as a mapping or a ``Schema``.
            reference: Data to compare live data with: a table or array. What drift checks need of it is stored with the version.

        Raises:
            PipelineError: An environment does not exist, or the canary was rolled back.
            VersioningError: The version cannot be registered.
            DeploymentError: It cannot be deployed.
        """
        run = RunContext.of(context)
        name = check_name(self.model or run.model, "model", PipelineError)
        environments = self._environments(run)
        version = self._register(run, name, model, schema, reference)
        run.log_params({"model": name, "version": version})
        deployments: list[Deployment] = []
        for place in environments:
            last = place == environments[-1]
            deployments.append(self._deploy(run, name, version, place, gradual=last and self.canary is not None))
            if run.held:
                break
        if self.alias and not run.held:
            ModelVersioning(stack=run.stack).set_alias(name, self.alias, version, key=run.key)
        told = [_told(one) for one in deployments]
        run.summary = "; ".join([f"{name} {version}", *(f"{one['environment']}: {one['status']}{one['note']}" for one in told)])
        return {"model": name, "version": version, "deployments": told}

    def mistakes(self, stack: Stack, inputs: Container[str] = ()) -> Iterator[tuple[str, str]]:
        """Options and connected inputs that do not fit the rest of the configuration: key, and what is wrong."""
        known = stack.parts.environments
        for name in self.to or ():
            if name not in known:
                yield "to", f"no environment {name!r} - {nearest(name, known)}"
        if self.canary is not None:
            try:
                check_plan(self.canary)
            except DeploymentError as error:
                yield "canary", error.message
        if "reference" in inputs and not stack.settings.drift.keep:
            for name, test in stack.parts.drift_tests.items():
                if isinstance(test, DriftTest) and test.scope == "table":
                    told = f"test {name!r} keeps rows of it, which drift.keep does not allow"
                    yield "inputs", f"reference: {told} - name columns there, '*' for all, or leave the test out of drift.tests"

    def _environments(self, run: RunContext) -> tuple[str, ...]:
        known = run.stack.parts.environments
        wanted = tuple(known)[:1] if self.to is None else self.to
        for name in wanted:
            run.stack.environment(name)
        if self.canary is not None and not wanted:
            raise PipelineError("canary: there is no environment to deploy to - name one in 'to'")
        return wanted

    def _register(self, run: RunContext, name: str, model: Any, schema: Any, reference: Any) -> str:
        if not isinstance(model, ArtifactRef):
            raise PipelineError(f"model: expected what a stage stored, got {type(model).__name__}")
        metrics = {name: value for name, value in run.metrics().items() if "." not in name and math.isfinite(value)}
        with scratch(run.stack.workdir / "tmp") as folder:
            extras = {} if reference is None else {"reference": _fitted(run, reference, folder / "reference.npz")}
            return ModelVersioning(stack=run.stack).version_model(
                name,
                self.version,
                Artifacts(run.stack).fetch_artifact(run.tenant, model, folder),
                {**metrics, **self.metadata},
                schema=schema,
                parents=parents_of(run.task, model),
                artifacts=extras,
                run_id=run.run_id,
                key=run.key,
                format=model.format or None,
            )

    def _deploy(self, run: RunContext, name: str, version: str, environment: str, *, gradual: bool) -> Deployment:
        deployment = ModelDeployment(stack=run.stack)
        if gradual:
            done = deployment.start_canary(
                name, version, environment, canary=self.canary, wait=True, timeout=self.load_timeout, key=run.key
            )
        else:
            done = deployment.deploy_model(name, version, environment, timeout=self.load_timeout, key=run.key)
        if done.status in _HELD:
            run.held = (
                f"canary {done.deployment_id} is {done.status} at {done.weight:.0%}: {done.reason} - "
                f"`mlops canary resume {done.deployment_id}`, then `mlops run --resume`"
            )
        elif done.status not in _DONE:
            raise PipelineError(f"deployment {done.deployment_id} is {done.status}: {done.reason} - start a new run to deploy again")
        return done


def _fitted(run: RunContext, reference: Any, path: Path) -> Path:
    """What the configured drift tests keep of the reference data, as a file."""
    from mlops_core.drift import Reference

    Reference.fit(reference, stack=run.stack).save(path)
    return path


def _told(one: Deployment) -> dict[str, str]:
    return {
        "environment": one.environment,
        "deployment_id": one.deployment_id,
        "status": one.status.value,
        "url": one.url,
        "note": f" ({one.reason})" if one.reason else "",
    }
