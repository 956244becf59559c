"""What is known of an endpoint beside SageMaker: one object in the bucket, replaced only where it is as it was read.

SageMaker compares nothing when it is told to change an endpoint, and forgets an endpoint's tags with the endpoint. S3 compares: so routes
are written down here first, under their revision, and of two writers one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen
from botocore.exceptions import ClientError

from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey, Record, Variant, canonical_json
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.failures import code_of, is_missing
from mlops_deployer_sagemaker.names import folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["KEPT", "Bucket", "EndpointRecord", "Kept", "Serving", "Setup", "Span"]

KEPT: Final = timedelta(days=15)
"""For how long CloudWatch has figures by the minute, and older spans are of no use."""
_FORMAT: Final = 1
_FILE: Final = "endpoint.json"
_LOST: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_ATTEMPTS: Final = 20


@frozen
class Serving(Record):
    """A variant of the endpoint as SageMaker has it: its name there, our version, and SageMaker's model."""

    name: str
    version: str
    model: str


@frozen
class Setup(Record):
    """What an endpoint configuration brings: its production variants, with or without requests, and the shadow."""

    variants: tuple[Serving, ...]
    beside: Serving | None = None

    @property
    def versions(self) -> set[str]:
        """Ours that are on the endpoint."""
        return {one.version for one in (*self.variants, *(() if self.beside is None else (self.beside,)))}

    def weights(self, routes: Sequence[Variant]) -> dict[str, float]:
        """What each production variant takes by these routes, by its name in SageMaker."""
        shares = {one.version: one.weight for one in routes}
        return {one.name: shares.get(one.version, 0.0) for one in self.variants}


_NOTHING: Final = Setup(())


@frozen
class Span(Record):
    """A time during which a routing revision, and nothing else, held: what its variants counted then is its own."""

    revision: int
    begun: datetime
    ended: datetime
    variants: tuple[Serving, ...]


@frozen
class EndpointRecord(Record):
    """An endpoint as it should be.

    ``config`` is the endpoint configuration that should be in force; ``configs`` are all that were created and not deleted yet.
    ``loaded``: SageMaker's model by version. ``changed``: when this was asked for.
    """

    format: int = _FORMAT
    revision: int = 0
    routes: tuple[Variant, ...] = ()
    shadow: str | None = None
    previous: tuple[Variant, ...] = ()
    loaded: Mapping[str, str] = field(factory=dict)
    config: str = ""
    configs: Mapping[str, Setup] = field(factory=dict)
    spans: tuple[Span, ...] = ()
    changed: datetime | None = None
    stopped: bool = False

    @property
    def setup(self) -> Setup:
        """What should be on the endpoint."""
        return self.configs.get(self.config, _NOTHING)

    @property
    def weights(self) -> dict[str, float]:
        """What each production variant should take, by its name in SageMaker."""
        return self.setup.weights(self.routes)


@frozen
class Kept:
    """A record and the tag that its replacement is compared with; an empty one: there was none."""

    record: EndpointRecord
    tag: str = ""


@define(eq=False)
class Bucket:
    """Records and archives below an ``s3://`` address."""

    aws: Aws
    name: str
    prefix: str

    def key(self, endpoint: EndpointKey, *parts: str) -> str:
        """Of an object of an endpoint."""
        return "/".join(filter(None, (self.prefix, folder_of(endpoint), *parts)))

    def read(self, endpoint: EndpointKey) -> Kept:
        """The newest record; an empty one where there is none.

        Raises:
            DeploymentError: It cannot be read, or was written by a newer release.
        """
        key = self.key(endpoint, _FILE)
        try:
            answer = self.aws.call("s3", "get_object", Bucket=self.name, Key=key)
        except ClientError as error:
            if is_missing(error):
                return Kept(EndpointRecord())
            with self.aws.errors("s3:GetObject"):
                raise
        return Kept(_decoded(answer["Body"].read(), f"s3://{self.name}/{key}"), answer["ETag"])

    def write(self, endpoint: EndpointKey, record: EndpointRecord, tag: str) -> bool:
        """Replace the record that was read with this tag; False: another writer was faster.

        Of a write whose answer was lost botocore sends a second, which is refused: so what is there is compared with what was meant.
        """
        only = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        body = canonical_json(record.to_dict()).encode()
        with self.aws.errors("s3:PutObject"):
            try:
                self.aws.call(
                    "s3", "put_object", Bucket=self.name, Key=self.key(endpoint, _FILE), Body=body, ContentType="application/json", **only
                )
            except ClientError as error:
                if code_of(error) in _LOST or (tag and is_missing(error)):
                    return self.read(endpoint).record == record
                raise
        return True

    def change(self, endpoint: EndpointKey, change: Callable[[EndpointRecord], EndpointRecord]) -> EndpointRecord:
        """Replace a record by what ``change`` makes of the newest one, which may be asked several times."""
        for _ in range(_ATTEMPTS):
            kept = self.read(endpoint)
            after = change(kept.record)
            if after == kept.record or self.write(endpoint, after, kept.tag):
                return after
        raise DeploymentError(f"endpoint {endpoint.model}: its record changed {_ATTEMPTS} times meanwhile - try again")

    def endpoints(self, environment: str) -> Iterator[EndpointKey]:
        """Every endpoint of an environment that has a record."""
        start = "/".join(filter(None, (self.prefix, environment))) + "/"
        with self.aws.errors("s3:ListBucket"):
            for page in self.aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=start):
                for one in page.get("Contents", ()):
                    tenant, _, rest = one["Key"].removeprefix(start).partition("/")
                    model, _, file = rest.partition("/")
                    if file == _FILE:
                        yield EndpointKey(tenant, environment, model)


def _decoded(body: bytes, where: str) -> EndpointRecord:
    try:
        data: dict[str, Any] = json.loads(body)
        if data["format"] != _FORMAT:
            raise DeploymentError(f"{where}: format {data['format']} is not known to this release - install a newer one")
        return EndpointRecord.from_dict(data)
    except (ValueError, KeyError, TypeError) as error:
        raise DeploymentError(f"{where}: is not readable ({type(error).__name__}) - restore an older one of its versions") from error
