"""The deployer ``sagemaker``: one real-time endpoint of Amazon SageMaker for each model and environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, evolve, field

from mlops_core.exceptions import ConflictError, DeploymentError
from mlops_core.records import EndpointKey, Health, HealthStatus, Observed, Plan, PlannedCall, Prediction, Variant
from mlops_core.records.routing import check_routes
from mlops_core.roles import DeployContext
from mlops_deployer_sagemaker.asking import Asking
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.change import Call, Fleet, after, decide, holds, operation_of, span_of
from mlops_deployer_sagemaker.counters import count_requests
from mlops_deployer_sagemaker.hosting import Hosting
from mlops_deployer_sagemaker.models import Models, archive_key
from mlops_deployer_sagemaker.names import endpoint_name, model_name, tags_of
from mlops_deployer_sagemaker.options import Options
from mlops_deployer_sagemaker.record import Bucket, EndpointRecord, Kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from mlops_core.records import ModelVersion, VariantCount
    from mlops_deployer_sagemaker.change import Seen

__all__ = ["SageMakerDeployer"]

_ATTEMPTS: Final = 20


@define(eq=False, kw_only=True)
class SageMakerDeployer(Options):
    """Routes are written to a record in S3, compared and swapped, then brought to SageMaker, which takes its time.

    Loading a version uploads it and makes a model of it, which costs no instance. Instances come with its first request share and go when
    it is unloaded.
    """

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict", "counters", "shadow"})

    _aws: Aws = field(init=False, repr=False)
    _bucket: Bucket = field(init=False, repr=False)
    _models: Models = field(init=False, repr=False)
    _asking: Asking = field(init=False, repr=False)
    _environment: str = field(default="", init=False, repr=False)
    _context: DeployContext | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._aws = Aws(self.region, self.endpoint_url)
        self._bucket = Bucket(self._aws, *self.place)
        self._models = Models(self._aws, self._bucket)
        self._asking = Asking(self._aws, self._look, self._monotonic)

    # --- the role

    def attach(self, environment: str, context: DeployContext) -> None:
        """Keep the environment's name and ports."""
        self._environment, self._context = environment, context

    def check(self) -> None:
        """Reach the bucket and SageMaker."""
        with self._aws.errors("s3:ListBucket"):
            self._aws.call("s3", "head_bucket", Bucket=self._bucket.name)
        with self._aws.errors("sagemaker:ListEndpoints"):
            self._aws.call("sagemaker", "list_endpoints", MaxResults=1)

    def load(self, endpoint: EndpointKey, version: ModelVersion, context: DeployContext) -> None:
        """Upload ``model.tar.gz`` and make a model of it. An endpoint that was shut down is started again with its routes."""
        self._context = context
        record, hosting, call = self._bucket.read(endpoint).record, self._hosting(endpoint), self._making(endpoint, version)
        model = call.arguments["ModelName"]
        if record.loaded.get(version.version) != model or hosting.describe("model", model) is None:
            self._models.make(endpoint, version, context, call)
            record = self._bucket.change(endpoint, lambda before: evolve(before, loaded={**before.loaded, version.version: model}))
        if record.stopped:
            self._set(endpoint, record.routes, record.shadow, record.revision, again=True)
            hosting.ready()
            record, seen = self._look(endpoint)
            operation, reason = operation_of(record, seen, self._now())
            if operation == "failed":
                raise _refused(f"the endpoint of {endpoint.model} did not start again: {reason}")

    def health(self, endpoint: EndpointKey, version: str) -> Health:
        """Whether its model is there and, once it is on the endpoint, whether that is in service."""
        record, seen = self._look(endpoint)
        model = record.loaded.get(version)
        if model is None or self._hosting(endpoint).describe("model", model) is None:
            return Health(HealthStatus.UNKNOWN, f"version {version} is not loaded")
        if version not in record.setup.versions:
            return Health(HealthStatus.HEALTHY, "its model is made; its instances start when it is routed")
        if seen is None or (seen.status != "InService" and not seen.busy):
            return Health(HealthStatus.UNHEALTHY, "its endpoint is gone" if seen is None else f"{seen.status}: {seen.reason}")
        return Health(HealthStatus.HEALTHY, f"its endpoint is {seen.status}")

    def set_routes(self, endpoint: EndpointKey, variants: tuple[Variant, ...], shadow: str | None, expected_revision: int) -> int:
        """Written down, then begun; a change that is under way is waited for first, since SageMaker cannot be interrupted."""
        check_routes(variants)
        if shadow is not None and len(variants) != 1:
            raise _refused(f"a shadow goes beside one version, and {len(variants)} are routed - route one, or leave the shadow out")
        return self._set(endpoint, variants, shadow, expected_revision)

    def unload(self, endpoint: EndpointKey, version: str) -> None:
        """Take it off the endpoint, which takes minutes; once it is off, when asked again, delete its model and its archive."""
        kept, hosting = self._bucket.read(endpoint), self._hosting(endpoint)
        record, seen = kept.record, hosting.look()
        if version in {one.version for one in record.routes} or version == record.shadow:
            raise _refused(f"version {version} is routed - route around it before it is unloaded")
        if version not in record.loaded or (seen is not None and seen.busy):  # what runs during a change, SageMaker does not say
            return
        if seen is not None and seen.config in record.configs and version in record.configs[seen.config].versions:
            if not holds(record, seen):  # it may be what serves in truth
                return
            change = decide(self._fleet(endpoint), _without(record, version), record.routes, record.shadow, seen, anew=True)
            self._commit(endpoint, kept, after(record, seen, change, self._now()), change.calls)
            return
        unused = sorted(record.configs.keys() - {record.config, "" if seen is None else seen.config})
        hosting.forget(unused)
        self._models.delete(endpoint, record.loaded[version])
        self._bucket.change(endpoint, lambda before: _without(before, version, unused))  # last: until then it is asked for again

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        """The record, and whether SageMaker follows it; counts from CloudWatch where they are asked for."""
        record, seen = self._look(endpoint)
        operation, reason = operation_of(record, seen, self._now())
        detail: dict[str, Any] = {"server": "none" if seen is None else seen.status}
        if record.stopped:  # an endpoint that is still there, since its shutdown was cut off, costs on and so is shown
            detail = {"server": "stopped", **({} if seen is None else {"endpoint": seen.status})}
        counters: tuple[VariantCount, ...] = ()
        if since is not None:
            spans = [span for span in (*record.spans, *span_of(record, seen, self._now())) if span.revision >= since]
            counters = count_requests(self._aws, self._name(endpoint), spans, self._now())
        return Observed(
            url=self._asking.url(self._name(endpoint)) if record.revision else "",
            revision=record.revision,
            operation=operation,
            routes=record.routes,
            shadow=record.shadow,
            previous=record.previous,
            loaded=() if record.stopped else tuple(sorted(record.loaded)),
            counters=counters,
            detail={**detail, "reason": reason} if reason else detail,
        )

    def predict(self, endpoint: EndpointKey, columns: Mapping[str, NDArray[Any]], *, unit: str | None = None) -> Prediction:
        """By ``invoke_endpoint``, signed; a ``unit`` meets its variant because the request names it."""
        return self._asking.predict(endpoint, self._name(endpoint), {name: values.tolist() for name, values in columns.items()}, unit)

    def plan(self, endpoint: EndpointKey, versions: Sequence[ModelVersion], variants: tuple[Variant, ...], shadow: str | None) -> Plan:
        """The calls of AWS, of an endpoint as it is now."""
        record, seen = self._look(endpoint)
        calls: list[PlannedCall] = []
        for version, making in ((one, self._making(endpoint, one)) for one in versions):
            if record.loaded.get(version.version) != making.arguments["ModelName"]:
                record = evolve(record, loaded={**record.loaded, version.version: making.arguments["ModelName"]})
                address = making.arguments["PrimaryContainer"]["ModelDataUrl"]
                calls += [PlannedCall("s3:PutObject", {"Address": address}), PlannedCall("sagemaker:create_model", making.arguments)]
        change = decide(self._fleet(endpoint), record, variants, shadow, seen)
        calls += [PlannedCall(f"sagemaker:{call.operation}", call.arguments) for call in change.calls]
        hosted = len(change.setup.variants) + (change.setup.beside is not None)
        anew = any(call.operation == "update_endpoint" for call in change.calls)
        note = "SageMaker starts all instances of the new configuration beside those that run, and then ends these"
        return Plan(tuple(calls), {self.instance_type: hosted * self.instance_count}, (note,) if anew else ())

    def shutdown(self) -> None:
        """Delete every endpoint of this environment, so that no instance costs any more; models, archives and routes stay."""
        begun = []
        for endpoint in self._bucket.endpoints(self._environment):
            hosting = self._hosting(endpoint)
            if hosting.ready() is not None:
                self._bucket.change(endpoint, lambda before: evolve(before, stopped=True, changed=self._now()))
                with self._aws.errors("sagemaker:delete_endpoint"):
                    self._aws.call("sagemaker", "delete_endpoint", EndpointName=hosting.name)
                begun.append(hosting)
        for hosting in begun:
            hosting.ready(lambda seen: seen is None)

    def close(self) -> None:
        """Close the connections of this process."""
        self._aws.close()

    # --- inside

    def _set(self, endpoint: EndpointKey, variants: tuple[Variant, ...], shadow: str | None, expected: int, *, again: bool = False) -> int:
        """``again``: bring the routes that are written down to an endpoint that was shut down, at their own revision."""
        hosting = self._hosting(endpoint)
        for _ in range(_ATTEMPTS):
            record = self._expected(endpoint, expected).record
            for version in [one.version for one in variants] + ([] if shadow is None else [shadow]):
                if version not in record.loaded:
                    raise _refused(f"version {version} is not loaded - load it before it is routed")
            seen = hosting.ready()
            kept = self._expected(endpoint, expected)
            change = decide(self._fleet(endpoint), kept.record, variants, shadow, seen)
            record = after(kept.record, seen, change, self._now())
            if not again:
                previous = record.previous if variants == record.routes else record.routes
                record = evolve(record, revision=expected + 1, routes=variants, shadow=shadow, previous=previous)
            if self._commit(endpoint, kept, record, change.calls):
                return record.revision
        raise _refused(f"the record of endpoint {endpoint.model} changed {_ATTEMPTS} times meanwhile - try again")

    def _commit(self, endpoint: EndpointKey, kept: Kept, record: EndpointRecord, calls: tuple[Call, ...]) -> bool:
        """Write down what shall be, then call for it; False: somebody else wrote meanwhile."""
        if not self._bucket.write(endpoint, record, kept.tag):
            return False
        self._asking.forget(endpoint)
        self._hosting(endpoint).carry_out(calls, lambda: self._expected(endpoint, record.revision))
        return True

    def _expected(self, endpoint: EndpointKey, revision: int) -> Kept:
        kept = self._bucket.read(endpoint)
        if (found := kept.record.revision) != revision:
            raise ConflictError(f"deployer sagemaker: routes are at revision {found}, not {revision}", head=found)
        return kept

    def _look(self, endpoint: EndpointKey) -> tuple[EndpointRecord, Seen | None]:
        record = self._bucket.read(endpoint).record
        return record, self._hosting(endpoint).look() if record.revision else None

    def _making(self, endpoint: EndpointKey, version: ModelVersion) -> Call:
        """The call that makes a version's model."""
        name = model_name(self._name(endpoint), version, [self.image_uri, self.role])
        address = f"s3://{self._bucket.name}/{archive_key(self._bucket, endpoint, name)}"
        arguments = {
            "ModelName": name,
            "ExecutionRoleArn": self.role,
            "PrimaryContainer": {"Image": self.image_uri, "ModelDataUrl": address},
            "Tags": tags_of(endpoint, version=version.version),
        }
        return Call("create_model", arguments)

    def _fleet(self, endpoint: EndpointKey) -> Fleet:
        return Fleet(
            self._name(endpoint),
            self.instance_type,
            self.instance_count,
            self.standby,
            self.startup_timeout,
            self.rails,
            tuple(tags_of(endpoint)),
        )

    def _hosting(self, endpoint: EndpointKey) -> Hosting:
        return Hosting(self._aws, self._name(endpoint), self._attached().clock, self.patience)

    def _name(self, endpoint: EndpointKey) -> str:
        return endpoint_name(endpoint, "s3://" + "/".join(filter(None, self.place)))

    def _now(self) -> datetime:
        return self._attached().clock.now()

    def _monotonic(self) -> float:
        return self._attached().clock.monotonic()

    def _attached(self) -> DeployContext:
        if self._context is None:
            raise _refused("it was given no environment - call attach() first")
        return self._context


def _without(record: EndpointRecord, version: str, configs: Sequence[str] = ()) -> EndpointRecord:
    loaded = {name: model for name, model in record.loaded.items() if name != version}
    return evolve(record, loaded=loaded, configs={name: setup for name, setup in record.configs.items() if name not in configs})


def _refused(message: str) -> DeploymentError:
    return DeploymentError(f"deployer sagemaker: {message}")
