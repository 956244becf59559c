"""The options of the deployer, checked, and what they come to."""

from __future__ import annotations

import re
from typing import Final, Literal

from attrs import define, field

from mlops_core.exceptions import DeploymentError
from mlops_core.roles import Deployer
from mlops_deployer_sagemaker.change import Guardrails

__all__ = ["Options"]

_ROLE: Final = re.compile(r"arn:aws[a-z\-]*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+")
_PLACE: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
_DAY: Final = 86_400
_BOUNDS: Final = {
    "instance_count": (1, 1_000),
    "startup_timeout": (60, 3_600),
    "patience": (1, 7 * _DAY),
    "guardrail_size": (1, 50),
    "guardrail_wait": (0, 3_600),
    "guardrail_bake": (0, 3_600),
    "guardrail_deadline": (600, 28_800),
}


@define(eq=False, kw_only=True)
class Options(Deployer):
    """What the configuration says. A version needs a role, an image and a place in S3."""

    role: str = field(metadata={"help": "ARN of the role that the containers run as; it may read the bucket and the image"})
    image_uri: str = field(metadata={"help": "the image of the model's server; `mlops deployments image` writes its Dockerfile"})
    bucket: str = field(metadata={"help": "where archives and the record of routes lie: s3://bucket or s3://bucket/prefix"})
    instance_type: str = field(default="ml.m5.large", metadata={"help": "of every instance"})
    instance_count: int = field(default=1, metadata={"help": "instances of each version that is on the endpoint"})
    region: str | None = field(default=None, metadata={"help": "AWS region; by default as boto3 finds it"})
    endpoint_url: str | None = field(default=None, repr=False, metadata={"help": "URL of a compatible service; by default AWS"})
    standby: bool = field(
        default=True, metadata={"help": "keep the instances of a replaced version while it is loaded, so that going back starts none"}
    )
    startup_timeout: int = field(default=300, metadata={"help": "seconds that a container has until it answers /ping, 60 to 3600"})
    patience: float = field(default=1800.0, metadata={"help": "seconds that a change which is under way is waited for before the next"})
    guardrails: Literal["", "all-at-once", "canary", "linear"] = field(
        default="", metadata={"help": "how SageMaker itself shifts requests when one version replaces another; by default at once"}
    )
    guardrail_size: int = field(default=10, metadata={"help": "per cent of the instances in a canary or in each linear step, 1 to 50"})
    guardrail_wait: int = field(default=300, metadata={"help": "seconds between its steps, 0 to 3600"})
    guardrail_bake: int = field(default=0, metadata={"help": "seconds that the old instances stay after the last step, 0 to 3600"})
    guardrail_deadline: int = field(default=3600, metadata={"help": "seconds that the whole shift may take, 600 to 28800"})
    alarms: tuple[str, ...] = field(default=(), metadata={"help": "CloudWatch alarms that take the shift back"})

    def __attrs_post_init__(self) -> None:
        if not _ROLE.fullmatch(self.role):
            raise _refused(f"role {self.role!r} is no ARN of a role - give one such as arn:aws:iam::123456789012:role/serving")
        if not _PLACE.fullmatch(self.bucket):
            raise _refused(f"bucket {self.bucket!r} is no place in S3 - give one such as s3://models/serving")
        if not self.image_uri or re.search(r"\s", self.image_uri):
            raise _refused(f"image_uri {self.image_uri!r} is no address of an image - give that of one in ECR")
        if not re.fullmatch(r"ml\.[a-z0-9-]+\.[a-z0-9-]+", self.instance_type):
            raise _refused(f"instance_type {self.instance_type!r} is no type of SageMaker's - give one such as ml.m5.large")
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:  # so is NaN refused
                raise _refused(f"{name} is {getattr(self, name)} - give {least} to {most}")
        if self.guardrails == "linear" and self.guardrail_size < 10:  # noqa: PLR2004  SageMaker's own bound
            raise _refused(f"guardrail_size is {self.guardrail_size} - a linear step has 10 to 50 per cent")
        if self.alarms and not self.guardrails:
            raise _refused("alarms take back a shift of guardrails, and there are none - set guardrails, or leave alarms out")

    @property
    def place(self) -> tuple[str, str]:
        """Bucket and prefix."""
        found = _PLACE.fullmatch(self.bucket)
        return ("", "") if found is None else (found[1], (found[2] or "").strip("/"))

    @property
    def rails(self) -> Guardrails | None:
        """What the options say of guardrails."""
        if not self.guardrails:
            return None
        return Guardrails(
            self.guardrails, self.guardrail_size, self.guardrail_wait, self.guardrail_bake, self.alarms, self.guardrail_deadline
        )


def _refused(message: str) -> DeploymentError:
    return DeploymentError(f"deployer sagemaker: {message}")
