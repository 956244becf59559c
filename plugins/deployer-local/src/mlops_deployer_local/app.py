"""The ASGI application: paths, who asks, and one prediction."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, define, field, frozen

from mlops_core.exceptions import MLOpsError
from mlops_core.records import EndpointKey
from mlops_core.roles import ServingHost
from mlops_deployer_local.answers import Answer, Reply, ServerFaultError, told
from mlops_deployer_local.bodies import INFER, INVOCATIONS, Form, metadata
from mlops_deployer_local.exposition import TEXT
from mlops_deployer_local.metrics import Metrics
from mlops_deployer_local.models import Table
from mlops_deployer_local.prediction import predict
from mlops_deployer_local.schema import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    Scope = Mapping[str, Any]
    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]

__all__ = ["App", "Limits"]

_KNOWN, _LONG = 1024, 1024  # heads that were looked up and let in, and their length: tokens are the same as long as the process lives
_CLOSE: Final = (b"connection", b"close")


@define(frozen=True)
class Limits:
    """What a client may ask for: bytes of a body, and seconds until it has arrived."""

    body: int = 1_000_000
    patience: float = 10.0


@frozen
class _Call:
    """A prediction that is asked for: how it is written, and of which endpoint; None is the tenant's only one."""

    headers: Mapping[bytes, bytes]
    form: Form
    tenant: str
    key: EndpointKey | None


@frozen
class _Scrape:
    """The metrics are asked for: of a tenant, or of all."""

    tenant: str | None


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
    metrics: Metrics = field(default=Factory(lambda self: Metrics(self.host, self.environment), takes_self=True))
    _known: dict[tuple[object, ...], tuple[EndpointKey, Form]] = field(factory=dict, init=False, repr=False)
    _scrapes: set[asyncio.Task[Answer]] = field(factory=set, init=False, repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request whose body may still be on its way."""
        if scope["type"] != "http":
            raise RuntimeError(f"no such protocol: {scope['type']}")
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            call = self._call(scope)
            body = await self._body(call, receive) if isinstance(call, _Call) else b""
        except ConnectionError:
            return
        except Exception as error:  # noqa: BLE001  whatever it is, the client hears of it as of everything else
            waiting.set_result(told(error))
        else:
            self._begin(call, body, lambda answer: None if waiting.done() else waiting.set_result(answer))
        answer = await waiting
        length = (b"content-length", str(len(answer.body)).encode())
        headers = [(b"content-type", answer.kind), length, *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body if scope["method"] != "HEAD" else b""})

    def begin(self, scope: Scope, body: bytes, reply: Reply) -> None:
        """The same of a request that is complete, without the cost of a task: ``reply`` takes its answer, now or later."""
        try:
            call = self._call(scope)
            if isinstance(call, _Call):
                self._check(call.headers, len(body))
        except Exception as error:  # noqa: BLE001  as above
            reply(told(error))
        else:
            self._begin(call, body, reply)

    def _begin(self, call: _Call | _Scrape | Answer, body: bytes, reply: Reply) -> None:
        if isinstance(call, Answer):
            reply(call)
            return
        if isinstance(call, _Scrape):
            task = asyncio.get_running_loop().create_task(self._scrape(call))
            self._scrapes.add(task)
            task.add_done_callback(lambda done: reply(done.result()))
            task.add_done_callback(self._scrapes.discard)
            return
        try:
            table = self._only(call.tenant) if call.key is None else self._table(call.key)  # routes may have changed while the body arrived
            predict(table, call.form, call.headers, body, self.rng, reply)
        except Exception as error:  # noqa: BLE001  as above
            reply(told(error))

    async def _scrape(self, call: _Scrape) -> Answer:
        try:
            return Answer(200, await self.metrics.page(self.tables, call.tenant), kind=TEXT)
        except Exception as error:  # noqa: BLE001  as above
            return told(error)

    # --- paths

    def _call(self, scope: Scope) -> _Call | _Scrape | Answer:
        """What a request asks for, by its head: a prediction, or what can be answered now."""
        headers = dict(scope["headers"])
        asked = (scope["path"], scope["method"], headers.get(b"authorization"), headers.get(b"x-mlops-tenant"))
        known = self._known.get(asked)
        if known is None:
            call = self._look_up(scope, headers)
            if isinstance(call, _Call) and call.key is not None and sum(len(one) for one in asked if one) < _LONG:
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[asked] = (call.key, call.form)
            return call
        key, form = known
        return _Call(headers, form, key.tenant, key)

    def _look_up(self, scope: Scope, headers: dict[bytes, bytes]) -> _Call | _Scrape | Answer:
        asking = self._asking(headers)
        tenant = asking or self.host.tenant
        parts = scope["path"].strip("/").split("/")
        match parts:
            case ["endpoints", model, "invocations"]:
                self._method(scope, "POST")
                return self._prediction(EndpointKey(tenant, self.environment, model), INVOCATIONS, headers)
            case ["v2", "models", model, "infer"]:
                self._method(scope, "POST")
                return self._prediction(EndpointKey(tenant, self.environment, model), INFER, headers)
            case ["v2", "models", model, *rest]:
                return self._model(scope, EndpointKey(tenant, self.environment, model), rest)
            case ["invocations"]:
                self._method(scope, "POST")
                self._only(tenant)
                return _Call(headers, INVOCATIONS, tenant, None)
            case ["metrics"]:
                self._method(scope, "GET")
                return _Scrape(asking)
        return self._state(scope, parts, tenant)

    def _prediction(self, key: EndpointKey, form: Form, headers: Mapping[bytes, bytes]) -> _Call:
        self._table(key)
        return _Call(headers, form, key.tenant, key)

    def _state(self, scope: Scope, parts: list[str], tenant: str) -> Answer:
        known = {("v2",), ("v2", "health", "live"), ("v2", "health", "ready"), ("ping",)}
        if tuple(parts) not in known:
            raise BadRequestError(f"no such path: {scope['path'][:100]} - predictions are at /v2/models/MODEL/infer", 404)
        self._method(scope, "GET")
        if parts == ["v2"]:
            return Answer.of(200, {"name": "motadata-mlops-deployer-local", "version": "0.1.0", "extensions": []})
        if parts == ["v2", "health", "live"]:
            return Answer.of(200, {"live": True})
        mine = [table for key, table in self.tables.items() if key.tenant == tenant and table.variants]
        faults = [f"{table.endpoint.model}: {fault}" for table in mine if (fault := table.fault())]
        return Answer.of(503, {"ready": False, "error": "; ".join(faults)}) if faults else Answer.of(200, {"ready": True})

    def _model(self, scope: Scope, key: EndpointKey, rest: list[str]) -> Answer:
        table = self._table(key)
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
            return Answer.of(503, {"ready": False, "error": fault}) if fault else Answer.of(200, {"name": key.model, "ready": True})
        if model is None:
            raise ServerFaultError(f"model {key.model}: version {wanted} is not loaded", 503)
        return Answer.of(200, metadata(model.version, list(table.recorders)))

    # --- who asks, and for what

    def _asking(self, headers: dict[bytes, bytes]) -> str | None:
        """The tenant that a token or a header names."""
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        try:
            own = self.host.authenticate(token.strip() if scheme.lower() == "bearer" else None)
        except MLOpsError as error:
            raise BadRequestError(error.message, 401, (b"www-authenticate", b"Bearer")) from error
        named = headers.get(b"x-mlops-tenant", b"").decode("latin-1")
        if own is not None and named not in ("", own):
            raise BadRequestError("X-MLOps-Tenant names another tenant than the token - leave the header out", 403)
        return own or named or None

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

    # --- the body

    def _check(self, headers: Mapping[bytes, bytes], size: int) -> None:
        if size > self.limits.body:
            raise self._too_large()
        kind = headers.get(b"content-type", b"application/json")
        if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
            raise BadRequestError("the body is not declared as JSON - send Content-Type: application/json", 415)

    def _too_large(self) -> BadRequestError:
        return BadRequestError(f"the body is larger than {self.limits.body} bytes - send fewer rows at a time", 413, _CLOSE)

    async def _body(self, call: _Call, receive: Receive) -> bytes:
        self._check(call.headers, 0)
        declared = call.headers.get(b"content-length", b"0")
        over = declared.isdigit() and int(declared) > self.limits.body
        if over and b"expect" in call.headers:
            raise self._too_large()
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
            raise self._too_large() if over else BadRequestError("the body took too long to arrive", 408, _CLOSE) from error
        if over:
            raise self._too_large()
        return bytes(body)
