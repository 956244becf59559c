"""The ASGI application: paths, who asks, and one prediction."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from mlops_core.exceptions import MLOpsError
from mlops_core.records import EndpointKey
from mlops_core.records.routing import pick, share_of
from mlops_core.roles import ServingHost
from mlops_deployer_local.bodies import INFER, INVOCATIONS, Form, dump, metadata, parse
from mlops_deployer_local.models import Table, one_line
from mlops_deployer_local.schema import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Scope = Mapping[str, Any]
    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]

__all__ = ["App", "Limits"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")


@define(frozen=True)
class Limits:
    """What a client may ask for: bytes of a body, and seconds until it has arrived."""

    body: int = 1_000_000
    patience: float = 10.0


@define(frozen=True)
class _Answer:
    """A status, a body, as JSON or as values for it, and further headers."""

    status: int
    body: Any
    headers: tuple[tuple[bytes, bytes], ...] = ()


class _ServerFaultError(Exception):
    """The model's or the server's failure; the message is shown."""

    def __init__(self, message: str, status: int = 500, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.answer = _Answer(status, {"error": message}, headers)


@define(eq=False)
class App:
    """Answers requests by ``tables``, which are replaced as a whole when routes change.

    ``environment`` is the one this server serves.
    """

    host: ServingHost
    environment: str
    limits: Limits = field(factory=Limits)
    tables: Mapping[EndpointKey, Table] = field(factory=dict)
    rng: random.Random = field(factory=random.Random)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            raise RuntimeError(f"no such protocol: {scope['type']}")
        try:
            answer = await self._answer(scope, receive)
        except BadRequestError as error:
            answer = _Answer(error.status, {"error": error.message}, error.headers)
        except _ServerFaultError as error:
            answer = error.answer
        except ConnectionError:
            return
        except Exception as error:  # noqa: BLE001  whatever it is, the client hears of it as of everything else
            _LOG.exception("a request failed in the server")
            answer = _Answer(500, {"error": f"the server failed: {type(error).__name__} - its log says more"})
        body = answer.body if isinstance(answer.body, bytes) else dump(answer.body)
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": answer.status, "headers": [_JSON, length, *answer.headers]})
        await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})

    # --- paths

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        headers = dict(scope["headers"])
        tenant = self._tenant(headers)
        parts = scope["path"].strip("/").split("/")
        match parts:
            case ["v2", "models", model, *rest]:
                return await self._model(scope, receive, headers, EndpointKey(tenant, self.environment, model), rest)
            case ["endpoints", model, "invocations"]:
                self._method(scope, "POST")
                key = EndpointKey(tenant, self.environment, model)
                return await self._predict(lambda: self._table(key), INVOCATIONS, headers, receive)
            case ["invocations"]:
                self._method(scope, "POST")
                return await self._predict(lambda: self._only(tenant), INVOCATIONS, headers, receive)
        return self._state(scope, parts, tenant)

    def _state(self, scope: Scope, parts: list[str], tenant: str) -> _Answer:
        known = {("v2",), ("v2", "health", "live"), ("v2", "health", "ready"), ("ping",)}
        if tuple(parts) not in known:
            raise BadRequestError(f"no such path: {scope['path'][:100]} - predictions are at /v2/models/MODEL/infer", 404)
        self._method(scope, "GET")
        if parts == ["v2"]:
            return _Answer(200, {"name": "motadata-mlops-deployer-local", "version": "0.1.0", "extensions": []})
        if parts == ["v2", "health", "live"]:
            return _Answer(200, {"live": True})
        mine = [table for key, table in self.tables.items() if key.tenant == tenant and table.variants]
        faults = [f"{table.endpoint.model}: {fault}" for table in mine if (fault := table.fault())]
        return _Answer(503, {"ready": False, "error": "; ".join(faults)}) if faults else _Answer(200, {"ready": True})

    async def _model(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], key: EndpointKey, rest: list[str]) -> _Answer:
        table = self._table(key)
        if rest == ["infer"]:
            self._method(scope, "POST")
            return await self._predict(lambda: self._table(key), INFER, headers, receive)
        version = None
        if rest[:1] == ["versions"] and len(rest) > 1:
            version, rest = rest[1], rest[2:]
        wanted = version or table.variants[0].version
        model = table.models.get(wanted)
        if wanted not in table.recorders or rest not in ([], ["ready"]):
            raise BadRequestError(f"no such path: {scope['path'][:100]} - this model serves {', '.join(table.recorders)}", 404)
        self._method(scope, "GET")
        if rest == ["ready"]:
            fault = table.fault() if version is None else "" if model else f"version {version} is not loaded"
            return _Answer(503, {"ready": False, "error": fault}) if fault else _Answer(200, {"name": key.model, "ready": True})
        if model is None:
            raise _ServerFaultError(f"model {key.model}: version {wanted} is not loaded", 503)
        return _Answer(200, metadata(model.version, list(table.recorders)))

    # --- who asks, and for what

    def _tenant(self, headers: dict[bytes, bytes]) -> str:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        try:
            own = self.host.authenticate(token.strip() if scheme.lower() == "bearer" else None)
        except MLOpsError as error:
            raise BadRequestError(error.message, 401, (b"www-authenticate", b"Bearer")) from error
        named = headers.get(b"x-mlops-tenant", b"").decode("latin-1")
        if own is not None and named not in ("", own):
            raise BadRequestError("X-MLOps-Tenant names another tenant than the token - leave the header out", 403)
        return own or named or self.host.tenant

    def _table(self, key: EndpointKey) -> Table:
        table = self.tables.get(key)
        if table is None or not table.variants:
            raise BadRequestError(f"no model {key.model[:100]!r} is deployed here - `mlops deployments` lists them", 404)
        return table

    def _only(self, tenant: str) -> Table:
        mine = (table for key, table in self.tables.items() if key.tenant == tenant and table.variants)
        found = sorted(mine, key=lambda table: table.endpoint.model)
        if len(found) > 1:
            names = ", ".join(table.endpoint.model for table in found)
            raise BadRequestError(f"several models are deployed here: {names} - use /endpoints/MODEL/invocations", 409)
        if not found:
            raise BadRequestError("no model is deployed here - deploy one first", 404)
        return found[0]

    @staticmethod
    def _method(scope: Scope, wanted: str) -> None:
        allowed = {wanted} | ({"HEAD"} if wanted == "GET" else set())
        if scope["method"] not in allowed:
            raise BadRequestError(f"method {scope['method']} is not for this path - use {wanted}", 405, (b"allow", wanted.encode()))

    # --- predictions

    async def _predict(self, find: Callable[[], Table], form: Form, headers: dict[bytes, bytes], receive: Receive) -> _Answer:
        find()
        request = parse(await self._body(headers, receive))
        table = find()  # the routes may have changed while the body arrived
        begun = time.perf_counter()
        unit = headers.get(b"x-mlops-unit")
        share = self.rng.random() if unit is None else share_of(unit.decode("latin-1"), table.variants)
        chosen = pick(table.variants, share)
        recorder = table.recorders[chosen.version]
        model = table.models.get(chosen.version)
        if model is None:
            recorder.count(time.perf_counter() - begun, False, "NotLoaded")
            raise _ServerFaultError(f"model {table.endpoint.model}: version {chosen.version} is not loaded", 503, _named(chosen.version))
        columns = form.read(request, model.version.schema)
        prediction = uuid.uuid4().hex
        try:
            outputs = await model.predict(columns)
            answer = dump(form.write(request, model.version, outputs, prediction))
        except Exception as error:
            recorder.count(time.perf_counter() - begun, False, type(error).__name__)
            recorder.failed(prediction, columns, type(error).__name__)
            if recorder.wants(prediction, _rows(columns)):
                recorder.sample(prediction, columns, {})
            table.copy(form, request, prediction)
            said = f"model {table.endpoint.model}: version {chosen.version} failed: {one_line(error)}"
            raise _ServerFaultError(said, 500, _named(chosen.version)) from error
        recorder.count(time.perf_counter() - begun, True)
        if recorder.wants(prediction, _rows(columns)):
            recorder.sample(prediction, columns, outputs)
        table.copy(form, request, prediction)
        return _Answer(200, answer, (*_named(chosen.version), (b"x-mlops-prediction-id", prediction.encode())))

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise BadRequestError("the body is not declared as JSON - send Content-Type: application/json", 415)
        declared = headers.get(b"content-length", b"0")
        too_large = BadRequestError(f"the body is larger than {self.limits.body} bytes - send fewer rows at a time", 413, _CLOSE)
        over = declared.isdigit() and int(declared) > self.limits.body
        if over and b"expect" in headers:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.patience):
                more = True
                while more:  # what is too large is read to its end, so that the client hears the answer, but not kept
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionError("the client has gone")
                    over = over or len(body) + len(message["body"]) > self.limits.body
                    if over:
                        body.clear()
                    else:
                        body += message["body"]
                    more = message["more_body"]
        except TimeoutError as error:
            raise too_large if over else BadRequestError("the body took too long to arrive", 408, _CLOSE) from error
        if over:
            raise too_large
        return bytes(body)


def _rows(columns: Mapping[str, Any]) -> int:
    return len(next(iter(columns.values()), ()))


def _named(version: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"x-mlops-version", version.encode()),)
