"""SageMaker, S3 and CloudWatch as far as the deployer calls them: a state machine behind boto3's own clients.

Every call goes through botocore, which validates it by its model of the service; instead of being sent it ends here. What botocore's model
says and botocore does not check (patterns, lengths, enums) is checked here, and so is the form of every answer.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import tarfile
import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from attrs import define, field
from botocore.response import StreamingBody
from botocore.validate import ParamValidator

from mlops_core.testing.clock import FakeClock

ARN = "arn:aws:sagemaker:eu-central-1:123456789012"
_BUSY = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}


class RefusedError(Exception):
    def __init__(self, code: str, message: str, status: int = 400, **further: Any) -> None:
        super().__init__(message)
        self.answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}, **further}
        self.status = status


@define(eq=False)
class Endpoint:
    """An endpoint, what it is on its way to, and until when."""

    name: str
    config: str
    weights: dict[str, float]
    created: datetime
    modified: datetime
    status: str = "Creating"
    reason: str = ""
    due: datetime | None = None
    then: Any = None
    shown: str = ""


@define(eq=False)
class Cloud:
    """One account. ``slow``: seconds that each kind of change takes. ``faults``: by kind, the outcomes of the next changes.

    ``dies``: asked before and after each call whether the caller dies there, with its name, arguments, and whether it was made.
    ``eager``: an endpoint that is updating shows its new configuration already, of which AWS's documentation says nothing.
    """

    clock: FakeClock
    slow: dict[str, float] = field(factory=lambda: {"create": 240.0, "update": 180.0, "weights": 20.0, "delete": 10.0})
    faults: dict[str, list[tuple[str, str]]] = field(factory=lambda: defaultdict(list))
    refusals: dict[str, list[Exception]] = field(factory=lambda: defaultdict(list))
    models: dict[str, Any] = field(factory=dict)
    configs: dict[str, Any] = field(factory=dict)
    endpoints: dict[str, Endpoint] = field(factory=dict)
    objects: dict[str, tuple[bytes, dict[str, str], str]] = field(factory=dict)
    counts: Counter[tuple[str, str, str, datetime]] = field(factory=Counter)
    broken: set[str] = field(factory=set)
    eager: bool = False
    calls: list[tuple[str, dict[str, Any]]] = field(factory=list)
    dies: Any = lambda *_, **__: False
    deployments: list[Any] = field(factory=list)
    rng: random.Random = field(factory=lambda: random.Random(3))
    lock: threading.RLock = field(factory=threading.RLock)

    @staticmethod
    def stream(body: bytes) -> StreamingBody:
        """A body as botocore hands it over."""
        return stream(body)

    def attach(self, client: Any) -> Any:
        """Answer this client's calls."""
        client.meta.events.register_first("before-parameter-build", self._keep)
        client.meta.events.register_first("before-call", self._answer)
        return client

    def refuse(self, operation: str, code: str, message: str, status: int = 400) -> None:
        """Refuse the next call of an operation."""
        self.refusals[operation].append(RefusedError(code, message, status))

    def made(self, *prefixes: str) -> list[str]:
        """Operations of SageMaker that change something, in their order."""
        return [name for name, _ in self.calls if name.startswith(prefixes or ("Create", "Update", "Delete")) and "Object" not in name]

    def last(self, operation: str) -> dict[str, Any]:
        return next(arguments for name, arguments in reversed(self.calls) if name == operation)

    def _keep(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        context["given"] = dict(params)

    def _answer(self, model: Any, context: dict[str, Any], **_: Any) -> Any:
        given = context["given"]
        if model.service_model.service_name in {"sagemaker", "sagemaker-runtime"}:
            check(model.input_shape, given, model.name)
        if self.dies(model.name, given, made=False):
            raise KeyboardInterrupt
        with self.lock:
            self.calls.append((model.name, given))
            try:
                if self.refusals[model.name]:
                    raise self.refusals[model.name].pop(0)
                answer = getattr(self, f"_{snake(model.name)}")(**given) or {}
            except RefusedError as error:
                return SimpleNamespace(status_code=error.status), error.answer
        if self.dies(model.name, given, made=True):
            raise KeyboardInterrupt
        if model.output_shape is not None and model.name not in {"GetObject", "InvokeEndpoint"}:
            report = ParamValidator().validate(answer, model.output_shape)
            assert not report.has_errors(), report.generate_report()
        return SimpleNamespace(status_code=200), {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}

    # --- sagemaker

    def _create_model(self, ModelName: str, **further: Any) -> Any:  # noqa: N803  the service's own names, here and below
        if ModelName in self.models:
            raise RefusedError("ValidationException", f'Cannot create already existing model "{ARN}:model/{ModelName}".')
        key = further["PrimaryContainer"]["ModelDataUrl"].removeprefix("s3://").partition("/")[2]
        assert key in self.objects, "SageMaker looks whether the archive is there"
        self.models[ModelName] = {"ModelName": ModelName, **further}
        return {"ModelArn": f"{ARN}:model/{ModelName}"}

    def _describe_model(self, ModelName: str) -> Any:  # noqa: N803
        found = self.models.get(ModelName) or missing("model", ModelName)
        return {
            **{name: value for name, value in found.items() if name != "Tags"},
            "CreationTime": self.clock.now(),
            "ModelArn": f"{ARN}:model/x",
        }

    def _delete_model(self, ModelName: str) -> None:  # noqa: N803
        self.models.pop(ModelName, None) or missing("model", ModelName)

    def _create_endpoint_config(self, EndpointConfigName: str, **further: Any) -> Any:  # noqa: N803
        if EndpointConfigName in self.configs:
            raise RefusedError("ValidationException", f'Cannot create already existing endpoint configuration "{EndpointConfigName}".')
        production, shadows = further["ProductionVariants"], further.get("ShadowProductionVariants", [])
        if shadows and (len(production), len(shadows)) != (1, 1):
            raise RefusedError("ValidationException", "Shadow mode takes one production variant and one shadow variant.")
        for variant in (*production, *shadows):
            variant["ModelName"] in self.models or missing("model", variant["ModelName"])
        names = [variant["VariantName"] for variant in (*production, *shadows)]
        assert len(set(names)) == len(names)
        self.configs[EndpointConfigName] = further
        return {"EndpointConfigArn": f"{ARN}:endpoint-config/{EndpointConfigName}"}

    def _delete_endpoint_config(self, EndpointConfigName: str) -> None:  # noqa: N803
        assert EndpointConfigName not in {one.config for one in self.endpoints.values()}, "a configuration in use was deleted"
        self.configs.pop(EndpointConfigName, None) or missing("endpoint configuration", EndpointConfigName)

    def _create_endpoint(self, EndpointName: str, EndpointConfigName: str, Tags: Any) -> Any:  # noqa: N803
        self._settle()
        if EndpointName in self.endpoints:
            raise RefusedError("ValidationException", f'Cannot create already existing endpoint "{ARN}:endpoint/{EndpointName}".')
        self._known(EndpointConfigName)
        now = self.clock.now()
        one = self.endpoints[EndpointName] = Endpoint(EndpointName, EndpointConfigName, {}, now, now)
        weights = initial(self.configs[EndpointConfigName])
        self._begin(one, "create", "Creating", lambda: one.weights.update(weights))
        return {"EndpointArn": f"{ARN}:endpoint/{EndpointName}"}

    def _update_endpoint(self, EndpointName: str, EndpointConfigName: str, DeploymentConfig: Any = None) -> Any:  # noqa: N803
        one = self._changeable(EndpointName)
        wanted = initial(self._known(EndpointConfigName))
        if DeploymentConfig is not None:
            self.deployments.append(DeploymentConfig)
            if wanted.keys() != one.weights.keys():
                raise RefusedError("ValidationException", "The new endpoint configuration must have the same variant names.")

        def apply() -> None:
            one.config, one.weights = EndpointConfigName, wanted

        self._begin(one, "update", "Updating", apply)
        one.shown = EndpointConfigName if self.eager else ""
        return {"EndpointArn": f"{ARN}:endpoint/{EndpointName}"}

    def _update_endpoint_weights_and_capacities(self, EndpointName: str, DesiredWeightsAndCapacities: Any) -> Any:  # noqa: N803
        one = self._changeable(EndpointName)
        wanted = {item["VariantName"]: item["DesiredWeight"] for item in DesiredWeightsAndCapacities}
        assert wanted.keys() <= one.weights.keys()
        self._begin(one, "weights", "Updating", lambda: one.weights.update(wanted))
        return {"EndpointArn": f"{ARN}:endpoint/{EndpointName}"}

    def _delete_endpoint(self, EndpointName: str) -> None:  # noqa: N803
        self._settle()
        one = self.endpoints.get(EndpointName) or missing("endpoint", EndpointName)
        if one.status in _BUSY:
            raise RefusedError("ValidationException", f"Cannot update in-progress endpoint {EndpointName}.")
        self._begin(one, "delete", "Deleting", lambda: self.endpoints.pop(EndpointName))

    def _describe_endpoint(self, EndpointName: str) -> Any:  # noqa: N803
        self._settle()
        one = self.endpoints.get(EndpointName) or missing("endpoint", EndpointName)
        weights = [{"VariantName": name, "CurrentWeight": weight, "DesiredWeight": weight} for name, weight in one.weights.items()]
        return {
            "EndpointName": one.name,
            "EndpointArn": f"{ARN}:endpoint/{one.name}",
            "EndpointConfigName": one.shown or one.config,
            "EndpointStatus": one.status,
            "CreationTime": one.created,
            "LastModifiedTime": one.modified,
            **({"ProductionVariants": weights} if weights else {}),
            **({"FailureReason": one.reason} if one.reason else {}),
        }

    def _list_endpoints(self, MaxResults: int) -> Any:  # noqa: N803
        return {"Endpoints": []}

    def _known(self, config: str) -> Any:
        return self.configs.get(config) or missing("endpoint configuration", config)

    def _changeable(self, name: str) -> Endpoint:
        self._settle()
        one = self.endpoints.get(name) or missing("endpoint", name)
        if one.status in _BUSY:
            raise RefusedError("ValidationException", f'Cannot update in-progress endpoint "{ARN}:endpoint/{name}".')
        if one.status == "Failed":
            raise RefusedError("ValidationException", f'Cannot update failed endpoint "{name}".')
        return one

    def _begin(self, one: Endpoint, kind: str, status: str, then: Any) -> None:
        one.status, one.modified, one.reason = status, self.clock.now(), ""
        due = one.due = one.modified + timedelta(seconds=self.slow[kind])
        outcome, reason = self.faults[kind].pop(0) if self.faults[kind] else ("InService", "")

        def finish() -> None:
            if outcome == "InService" and not reason:
                then()
            if outcome == "RollingBack":
                one.status, one.due, one.then = outcome, due + timedelta(seconds=60), lambda: settle("InService")
                return
            settle(outcome)

        def settle(status: str) -> None:
            one.status, one.reason, one.modified, one.due = status, reason if status != "InService" else "", one.due or one.modified, None
            one.shown = ""

        one.then = finish

    def _settle(self) -> None:
        """Whatever is due has happened."""
        for one in list(self.endpoints.values()):
            while one.due is not None and one.due <= self.clock.now():
                one.then()

    # --- the runtime and cloudwatch

    def _invoke_endpoint(self, EndpointName: str, Body: Any, TargetVariant: str = "", **_: Any) -> Any:  # noqa: N803
        self._settle()
        one = self.endpoints.get(EndpointName)
        if one is None or not one.weights:
            raise RefusedError("ValidationError", f"Endpoint {EndpointName} of account 123456789012 not found.")
        if TargetVariant and TargetVariant not in one.weights:
            raise RefusedError("ValidationError", f"Variant {TargetVariant} not found for endpoint.")
        chosen = TargetVariant or self.rng.choices(list(one.weights), list(one.weights.values()))[0]
        minute = self.clock.now().replace(second=0, microsecond=0)
        version, columns = self._version(one.config, chosen), json.loads(Body)["inputs"]
        self.counts[EndpointName, chosen, "Invocations", minute] += 1
        for shadow in self.configs[one.config].get("ShadowProductionVariants", []):
            self.counts[EndpointName, shadow["VariantName"], "Invocations", minute] += 1
            if self._version(one.config, shadow["VariantName"]) in self.broken:
                self.counts[EndpointName, shadow["VariantName"], "Invocation5XXErrors", minute] += 1
        if "y" in columns:
            self.counts[EndpointName, chosen, "Invocation4XXErrors", minute] += 1
            raise failed(422, "column 'y' is unknown")
        if version in self.broken:
            self.counts[EndpointName, chosen, "Invocation5XXErrors", minute] += 1
            raise failed(500, "the model\nfails")
        answer = {"predictions": columns["x"], "version": version, "prediction_id": f"p{len(self.calls)}"}
        return {"Body": stream(json.dumps(answer).encode()), "InvokedProductionVariant": chosen, "ContentType": "application/json"}

    def _version(self, config: str, variant: str) -> str:
        """What the unpacked archive says, as the server in the container would read it."""
        made = self.configs[config]
        every = (*made["ProductionVariants"], *made.get("ShadowProductionVariants", []))
        one = next(item for item in every if item["VariantName"] == variant)
        key = self.models[one["ModelName"]]["PrimaryContainer"]["ModelDataUrl"].removeprefix("s3://").partition("/")[2]
        with tarfile.open(fileobj=io.BytesIO(self.objects[key][0]), mode="r:gz") as archive:
            bundle = archive.extractfile("bundle.json")
            assert bundle is not None
            return str(json.loads(bundle.read())["version"]["version"])

    def _get_metric_data(self, MetricDataQueries: Any, StartTime: datetime, EndTime: datetime, **_: Any) -> Any:  # noqa: N803
        results = []
        for query in MetricDataQueries:
            stat = query["MetricStat"]
            assert (stat["Period"], stat["Stat"], stat["Metric"]["Namespace"]) == (60, "Sum", "AWS/SageMaker")
            dimensions = {one["Name"]: one["Value"] for one in stat["Metric"]["Dimensions"]}
            key = dimensions["EndpointName"], dimensions["VariantName"], stat["Metric"]["MetricName"]
            found = sorted((at, count) for (*one, at), count in self.counts.items() if tuple(one) == key and StartTime <= at < EndTime)
            results.append({"Id": query["Id"], "Timestamps": [at for at, _ in found], "Values": [float(count) for _, count in found]})
        return {"MetricDataResults": results}

    # --- s3

    def _get_object(self, Bucket: str, Key: str) -> Any:  # noqa: N803
        if Key not in self.objects:
            raise RefusedError("NoSuchKey", "The specified key does not exist.", 404)
        body, _, tag = self.objects[Key]
        return {"Body": stream(body), "ETag": tag}

    def _head_object(self, Bucket: str, Key: str) -> Any:  # noqa: N803
        if Key not in self.objects:
            raise RefusedError("404", "Not Found", 404)
        return {"Metadata": self.objects[Key][1]}

    def _put_object(self, Bucket: str, Key: str, Body: Any, IfMatch: str = "", IfNoneMatch: str = "", **further: Any) -> Any:  # noqa: N803
        tag = self.objects[Key][2] if Key in self.objects else ""
        if (IfMatch and IfMatch != tag) or (IfNoneMatch and tag):
            raise RefusedError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)
        body = Body if isinstance(Body, bytes) else Body.read()
        self.objects[Key] = body, further.get("Metadata", {}), f'"{hashlib.md5(body + str(len(self.calls)).encode()).hexdigest()}"'  # noqa: S324  a tag
        return {"ETag": self.objects[Key][2]}

    def _delete_object(self, Bucket: str, Key: str) -> None:  # noqa: N803
        self.objects.pop(Key, None)

    def _head_bucket(self, Bucket: str) -> None:  # noqa: N803
        pass

    def _list_objects_v2(self, Bucket: str, Prefix: str, **_: Any) -> Any:  # noqa: N803
        found = [{"Key": key, "Size": 1, "LastModified": datetime.now(UTC)} for key in sorted(self.objects) if key.startswith(Prefix)]
        return {"Contents": found, "IsTruncated": False}


def initial(config: Any) -> dict[str, float]:
    return {one["VariantName"]: one["InitialVariantWeight"] for one in config["ProductionVariants"]}


def missing(kind: str, name: str) -> Any:
    raise RefusedError("ValidationException", f'Could not find {kind} "{ARN}:{kind.replace(" ", "-")}/{name}".')


def failed(status: int, words: str) -> RefusedError:
    return RefusedError("ModelError", "it failed", 424, OriginalStatusCode=status, OriginalMessage=json.dumps({"error": words}))


def stream(body: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(body), len(body))


def snake(name: str) -> str:
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name.replace("V2", "V2")).lower()


def check(shape: Any, value: Any, where: str) -> None:
    """What the model says of a value beyond its type: patterns, lengths, enums."""
    limits = shape.metadata
    if shape.type_name == "structure":
        for name, part in value.items():
            check(shape.members[name], part, f"{where}.{name}")
    elif shape.type_name == "list":
        assert limits.get("min", 0) <= len(value) <= limits.get("max", len(value)), where
        for part in value:
            check(shape.member, part, f"{where}[]")
    elif shape.type_name == "string":
        assert len(value) <= limits.get("max", len(value)), f"{where}: {value!r} is too long"
        assert not shape.enum or value in shape.enum, f"{where}: {value!r} is none of {shape.enum}"
        if (pattern := limits.get("pattern")) and "\\p{" not in pattern:
            assert re.fullmatch(pattern, value), f"{where}: {value!r} does not match {pattern}"
    elif shape.type_name in {"integer", "float"}:
        assert limits.get("min", value) <= value <= limits.get("max", value), f"{where}: {value} is out of bounds"
