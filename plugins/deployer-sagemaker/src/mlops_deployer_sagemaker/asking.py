"""Predictions through ``invoke_endpoint``, which are signed and so need the caller's credentials and no token of ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field
from botocore.exceptions import ClientError

from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey, Prediction
from mlops_core.records.routing import pick, share_of
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.change import Seen, routes_of
from mlops_deployer_sagemaker.failures import code_of
from mlops_deployer_sagemaker.record import EndpointRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Asking"]

_FRESH: Final = 5.0  # seconds for which an endpoint is taken to be as it was seen
_LONGEST: Final = 400  # characters of a model server's own words
_INVALID: Final = frozenset({"ValidationError", "ValidationException"})
_ONLY: Final = "prediction"  # what a single output is called where the answer does not name it

View = tuple[EndpointRecord, Seen | None]


@define(eq=False)
class Asking:
    """Sends requests. ``look`` tells an endpoint as it is, ``monotonic`` the time in seconds. Thread-safe."""

    aws: Aws
    look: Callable[[EndpointKey], View]
    monotonic: Callable[[], float]
    _views: dict[EndpointKey, tuple[float, View]] = field(factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def url(self, name: str) -> str:
        """Where requests go, for those who sign them on their own."""
        return f"{self.aws.client('sagemaker-runtime').meta.endpoint_url}/endpoints/{name}/invocations"

    def forget(self, endpoint: EndpointKey) -> None:
        """Its routes change: look again."""
        with self._lock:
            self._views.pop(endpoint, None)

    def predict(self, endpoint: EndpointKey, name: str, columns: Mapping[str, list[Any]], unit: str | None) -> Prediction:
        """One request.

        Raises:
            DeploymentError: There is no endpoint, the columns do not fit, the model failed, or AWS denies the call.
        """
        with self.aws.errors("sagemaker:InvokeEndpoint"):
            body = json.dumps({"inputs": columns}, allow_nan=False).encode()
            try:
                answer = self._invoke(endpoint, name, body, unit)
            except ClientError as error:
                raise _explained(error, endpoint) from error
            return self._read(endpoint, answer["Body"].read(), answer.get("InvokedProductionVariant", ""))

    def _invoke(self, endpoint: EndpointKey, name: str, body: bytes, unit: str | None) -> Any:
        """Once more where the variant of a unit has left the endpoint since it was looked at."""
        asked = {"EndpointName": name, "ContentType": "application/json", "Accept": "application/json", "Body": body}
        target = None if unit is None else self._variant_of(endpoint, unit)
        if unit is None or target is None:
            return self.aws.call("sagemaker-runtime", "invoke_endpoint", **asked)
        try:
            return self.aws.call("sagemaker-runtime", "invoke_endpoint", TargetVariant=target, **asked)
        except ClientError as error:
            if code_of(error) not in _INVALID:
                raise
        self.forget(endpoint)
        anew = self._variant_of(endpoint, unit)
        further = {} if anew is None else {"TargetVariant": anew}
        return self.aws.call("sagemaker-runtime", "invoke_endpoint", **asked, **further)

    def _variant_of(self, endpoint: EndpointKey, unit: str) -> str | None:
        """The variant of a unit, by the routes that the endpoint follows now; SageMaker itself cannot keep a unit on one."""
        record, seen = self._view(endpoint)
        routes = routes_of(record, seen)
        setup = record.configs.get(seen.config) if seen is not None else None
        if setup is None or not routes:
            return None
        version = pick(routes, share_of(unit, routes)).version
        return next((one.name for one in setup.variants if one.version == version), None)

    def _view(self, endpoint: EndpointKey) -> View:
        with self._lock:
            at, view = self._views.get(endpoint, (0.0, None))
        if view is None or self.monotonic() - at > _FRESH:
            at, view = self.monotonic(), self.look(endpoint)
            with self._lock:
                self._views[endpoint] = at, view
        return view

    def _read(self, endpoint: EndpointKey, body: bytes, variant: str) -> Prediction:
        """Our server says its version and an id; of another only the variant is known."""
        try:
            data = json.loads(body)
            rows = data["predictions"]
        except (ValueError, KeyError, TypeError) as error:
            said = "its answer is no JSON object with 'predictions' - is image_uri one that `mlops deployments image` describes?"
            raise DeploymentError(f"endpoint {endpoint.model}: {said}") from error
        version = data.get("version") or self._version_of(endpoint, variant)
        return Prediction(_outputs(rows), version, data.get("prediction_id", ""))

    def _version_of(self, endpoint: EndpointKey, variant: str) -> str:
        record, seen = self._view(endpoint)
        setup = record.configs.get(seen.config) if seen is not None else None
        return next((one.version for one in (setup.variants if setup is not None else ()) if one.name == variant), "")


def _outputs(rows: Any) -> dict[str, list[Any]]:
    if isinstance(rows, list) and rows and all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows):
        return {name: [row[name] for row in rows] for name in rows[0]}
    return {_ONLY: rows}


def _explained(error: ClientError, endpoint: EndpointKey) -> Exception:
    """The model server's own words where it answered, and what a missing endpoint means."""
    where = f"endpoint {endpoint.environment}/{endpoint.model}"
    if code_of(error) == "ModelError":
        said = str(error.response.get("OriginalMessage", ""))
        try:
            said = str(json.loads(said)["error"])
        except (ValueError, KeyError, TypeError):
            said = said or "no reason given"
        return DeploymentError(f"{where}: {' '.join(said.split())[:_LONGEST]} ({error.response.get('OriginalStatusCode', 500)})")
    if code_of(error) in _INVALID and "not found" in str(error):
        return DeploymentError(f"{where}: nothing is deployed here - deploy a version first")
    return error
