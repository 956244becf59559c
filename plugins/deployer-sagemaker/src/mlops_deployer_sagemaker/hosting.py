"""One endpoint of SageMaker: looked at, waited for, changed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from attrs import define
from botocore.exceptions import ClientError

from mlops_core.exceptions import DeploymentError
from mlops_core.roles import Clock
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.change import Seen
from mlops_deployer_sagemaker.failures import exists_already, is_busy, is_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlops_deployer_sagemaker.change import Call

__all__ = ["Hosting"]

_LOG: Final = logging.getLogger("mlops_core.deployer.sagemaker")
_POLLS: Final = (2.0, 4.0, 8.0, 15.0)  # seconds between looks; the last for good


@define(eq=False)
class Hosting:
    """The endpoint ``name``. ``patience``: seconds that a change which is under way is waited for."""

    aws: Aws
    name: str
    clock: Clock
    patience: float

    def look(self) -> Seen | None:
        """As SageMaker has it; None: there is none."""
        found = self.describe("endpoint", self.name)
        if found is None:
            return None
        return Seen(
            status=found["EndpointStatus"],
            config=found.get("EndpointConfigName", ""),
            weights={one["VariantName"]: one.get("CurrentWeight", 0.0) for one in found.get("ProductionVariants", ())},
            reason=" ".join(found.get("FailureReason", "").split()),
            modified=found["LastModifiedTime"].timestamp(),
        )

    def describe(self, kind: str, name: str) -> Any:
        """The answer of ``describe_KIND``, or None where there is no such thing."""
        operation, member = f"describe_{kind}", "".join(part.title() for part in kind.split("_")) + "Name"
        try:
            return self.aws.call("sagemaker", operation, **{member: name})
        except ClientError as error:
            if is_missing(error):
                return None
            with self.aws.errors(f"sagemaker:{operation}"):
                raise

    def ready(self, until: Callable[[Seen | None], bool] = lambda seen: seen is None or not seen.busy) -> Seen | None:
        """Wait until the endpoint takes a change; ``until``: for something else.

        Raises:
            DeploymentError: It takes longer than ``patience``.
        """
        deadline, polls = self.clock.monotonic() + self.patience, iter(_POLLS)
        while not until(seen := self.look()):
            if self.clock.monotonic() >= deadline:
                said = "is gone" if seen is None else f"is {seen.status}"
                raise DeploymentError(
                    f"deployer sagemaker: endpoint {self.name} {said} after {self.patience:g} s - see the console, or give more patience"
                )
            self.clock.sleep(next(polls, _POLLS[-1]))
        return seen

    def carry_out(self, calls: Sequence[Call], still: Callable[[], object]) -> None:
        """Make the calls. What is there already is what an earlier try left; ``still`` raises where the change is not wanted any more.

        Raises:
            DeploymentError: AWS refused one.
        """
        for position, call in enumerate(calls):
            with self.aws.errors(f"sagemaker:{call.operation}"):
                self._make(call, still)
            if call.operation == "delete_endpoint" and position + 1 < len(calls):
                self.ready(lambda seen: seen is None)

    def _make(self, call: Call, still: Callable[[], object]) -> None:
        deadline = self.clock.monotonic() + self.patience
        while True:
            try:
                self.aws.call("sagemaker", call.operation, **call.arguments)
            except ClientError as error:
                if call.operation.startswith("create_") and exists_already(error):
                    _LOG.info("endpoint %s: %s was made by an earlier try", self.name, call.operation)
                    return
                if call.operation.startswith("delete_") and is_missing(error):
                    return
                if not is_busy(error) or self.clock.monotonic() >= deadline:
                    raise
            else:
                return
            seen = self.ready()
            if seen is not None and seen.config == call.arguments.get("EndpointConfigName"):
                return  # it was this very change that was under way: the answer to the first call was lost
            still()

    def forget(self, configs: Sequence[str]) -> None:
        """Delete endpoint configurations that no endpoint uses; those that are gone are fine."""
        for name in configs:
            try:
                self.aws.call("sagemaker", "delete_endpoint_config", EndpointConfigName=name)
            except ClientError as error:
                if not is_missing(error):
                    _LOG.warning("endpoint configuration %s: not deleted: %s", name, error)
