"""A prediction over HTTP, by the Open Inference Protocol v2."""

from __future__ import annotations

import http.client
import json
import math
import urllib.parse
from datetime import date, time
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Client", "columns_as_lists"]

_OK: Final = 200
_BROKEN: Final = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)
_LONGEST: Final = 400
_AS_IT_IS: Final = "".join(map(chr, range(0x20, 0x7F)))
_MISSING: Final = frozenset({"NAType", "NaTType"})  # pandas' own, which need not be there


@frozen
class Client:
    """Sends requests to a model's URL. A connection that breaks is replaced once: a prediction may be repeated."""

    url: str
    tenant: str
    token: str | None = None
    timeout: float = 30.0

    def predict(self, columns: Mapping[str, Sequence[Any]], *, unit: str | None = None) -> Prediction:
        """One request.

        Raises:
            ConnectionRefusedError: Nobody listens.
            DeploymentError: The server refused or failed, or did not answer in time.
        """
        if unit is not None and not isinstance(unit, str):
            raise DeploymentError(f"unit: expected text, got {type(unit).__name__} - give a name such as 'user-7'")
        body = json.dumps({"inputs": [_tensor(name, values) for name, values in columns.items()]}, allow_nan=False).encode()
        try:
            status, data = self._send(body, unit)
        except _BROKEN:
            status, data = self._again(body, unit)
        except ConnectionRefusedError:
            raise
        except OSError as error:
            raise DeploymentError(f"endpoint {self.url}: no answer ({error}) - is its server running?") from error
        if status != _OK:
            raise DeploymentError(f"endpoint {self.url}: {data.get('error', 'no reason given')} ({status})")
        return Prediction(
            {one["name"]: _rows(one["data"], one["shape"][1:]) for one in data["outputs"]},
            data.get("model_version", ""),
            data.get("parameters", {}).get("prediction_id", data.get("id", "")),
        )

    def _again(self, body: bytes, unit: str | None) -> tuple[int, dict[str, Any]]:
        try:
            return self._send(body, unit)
        except _BROKEN as error:
            raise DeploymentError(f"endpoint {self.url}: the connection broke twice ({error}) - look at the server's log") from error

    def _send(self, body: bytes, unit: str | None) -> tuple[int, dict[str, Any]]:
        parts = urllib.parse.urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout)
        headers = {"Content-Type": "application/json", "X-MLOps-Tenant": self.tenant}
        headers |= {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        headers |= {} if unit is None else {"X-MLOps-Unit": urllib.parse.quote(unit, safe=_AS_IT_IS)}
        try:
            connection.request("POST", f"{parts.path}/infer", body, headers)
            answer = connection.getresponse()
            return answer.status, _mapping(answer.read())
        finally:
            connection.close()


def columns_as_lists(columns: Any) -> dict[str, list[Any]]:
    """Columns of one value per row, as plain lists: from a mapping of lists or arrays, or from a data frame.

    Times become ISO 8601 text; NaN, NaT and the like None.

    Raises:
        DeploymentError: It is none of these, or a value is of a type that JSON and the protocol cannot tell.
    """
    pairs = getattr(columns, "items", None)
    if pairs is None:
        raise DeploymentError(f"columns: expected a mapping of names to values, got {type(columns).__name__} - give {{'x': [1.0, 2.0]}}")
    found = {}
    for name, values in pairs():
        plain = _listed(values)
        if not isinstance(name, str) or not isinstance(plain, list | tuple):
            raise DeploymentError(f"columns: {name!r} is not a name with a list of values - give one value per row")
        found[name] = [_plain(value, name) for value in plain]
    if not found:
        raise DeploymentError("columns: there is none - give {'x': [1.0, 2.0]}")
    return found


def _listed(values: Any) -> Any:
    """An array, numpy's or another, as a list; other values as they are. Of numpy's times, which may be finer than Python's, the text."""
    kind = values.dtype.kind if type(values).__module__ == "numpy" else ""
    if kind == "M":
        return _moments(values.astype(str).tolist())
    if kind == "m":
        return values.astype("timedelta64[us]").tolist()  # of finer ones numpy makes bare numbers
    return values.tolist() if hasattr(values, "tolist") else values


def _moments(text: Any) -> Any:
    if isinstance(text, list):
        return [_moments(part) for part in text]
    whole, point, fraction = text.partition(".")
    return None if text == "NaT" else whole + (point + fraction).rstrip("0").rstrip(".")


def _plain(value: Any, name: str) -> Any:
    """NaN, NaT and the like as None, times as text, whatever JSON has as it is."""
    if isinstance(value, list | tuple):
        return [_plain(part, name) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str | int | float | None):
        return value
    if type(value).__module__ == "numpy" and type(found := _listed(value)) is not type(value):
        return _plain(found, name)
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, date | time):
        return value.isoformat()
    raise DeploymentError(f"columns: {name!r} has a {type(value).__name__} - give numbers, text, truth values or times")


def _tensor(name: str, values: Sequence[Any]) -> dict[str, Any]:
    shape, flat = [len(values)], list(values)
    while flat and isinstance(flat[0], list):
        if any(not isinstance(part, list) or len(part) != len(flat[0]) for part in flat):
            raise DeploymentError(f"columns: {name!r} is ragged - give values of one shape")
        shape.append(len(flat[0]))
        flat = [item for part in flat for item in part]
    return {"name": name, "shape": shape, "datatype": _datatype(flat), "data": flat}


def _datatype(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    return "FP64" if kinds <= {int, float} else "BYTES"


def _rows(flat: list[Any], shape: list[int]) -> list[Any]:
    for size in reversed(shape):
        flat = [flat[at : at + size] for at in range(0, len(flat), size)]
    return flat


def _mapping(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        return {"error": " ".join(body[:_LONGEST].decode("utf-8", "replace").split())}
    return data if isinstance(data, dict) else {"error": "the answer is not a JSON object"}
