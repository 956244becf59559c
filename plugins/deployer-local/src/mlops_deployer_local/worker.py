"""A serving process: holds every routed version, answers HTTP, and does what its supervisor says.

Should the supervisor die, a process that answers requests goes on answering them until the next supervisor has replaced it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from typing import Any, Final

from attrs import define, field
from uvicorn.config import Config
from uvicorn.server import ServerState

from mlops_core.exceptions import MLOpsError
from mlops_core.records import EndpointKey
from mlops_core.roles import ServingHost
from mlops_deployer_local.app import App
from mlops_deployer_local.channel import LIMIT, answer_all
from mlops_deployer_local.connection import Connection, Gate
from mlops_deployer_local.door import Door
from mlops_deployer_local.models import Model, Table, one_line
from mlops_deployer_local.runner import Pace

__all__ = ["Worker"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_POLL: Final = 0.02


@define(eq=False)
class Worker:
    """The process behind ``app``, whose versions predict at this ``pace``.

    Times in seconds: ``keep_alive`` for silent connections, ``patience`` for what was begun when the process is to end.
    """

    host: ServingHost
    app: App
    pace: Pace
    keep_alive: float
    patience: float
    listener: socket.socket
    models: dict[tuple[EndpointKey, str], Model] = field(factory=dict, init=False)
    _state: ServerState = field(factory=ServerState, init=False)
    _gate: Gate = field(init=False)
    _config: Config = field(init=False)
    _door: Door = field(init=False)
    _ending: asyncio.Event = field(factory=asyncio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._gate = Gate(self.app.limits.patience, self.app.begin)
        self._door = Door(self.listener, self._connect)
        self._config = Config(
            self.app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=round(self.keep_alive),
        )

    async def run(self, control: socket.socket) -> None:
        """Follow the supervisor at ``control``; returns once told to end and every request is answered."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._ending.set)
        reader, writer = await asyncio.open_connection(sock=control, limit=LIMIT)
        following = asyncio.create_task(answer_all(reader, writer, self._obey))
        following.add_done_callback(self._alone)
        await self._ending.wait()
        await self.drain()  # and follow changes of the routes meanwhile
        following.cancel()

    def accept(self) -> None:
        """Begin to answer."""
        self._door.open()

    async def drain(self) -> None:
        """Leave new connections to others, and end those that are there without failing one.

        After its patience it leaves those that are still there: no client can hold a process back.
        """
        await self._leave_new_ones()
        for connection in list(self._state.connections):
            if isinstance(connection, Connection):
                connection.drain()
        try:
            async with asyncio.timeout(self.patience):
                while self._is_busy():  # noqa: ASYNC110  uvicorn offers no event for it
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            _LOG.warning("worker: %d connections are still there after %g s, left", len(self._state.connections), self.patience)
        for table in self.app.tables.values():
            if table.shadow is not None:
                table.shadow.close()

    def _is_busy(self) -> bool:
        return bool(self._state.connections or self._state.tasks) or any(model.runner.busy for model in self.models.values())

    async def _leave_new_ones(self) -> None:
        self._gate.draining = True
        await self._door.close()

    async def load(self, endpoint: EndpointKey, version: str) -> str:
        """Have a version in memory, loaded in a thread; answers why not, or nothing."""
        if (endpoint, version) not in self.models:
            found = await asyncio.to_thread(self._loaded, endpoint, version)
            if isinstance(found, str):
                return found
            self.models[endpoint, version] = found
        return ""

    def _loaded(self, endpoint: EndpointKey, version: str) -> Model | str:
        """A version, or why it does not load."""
        try:
            return Model.load(self.host, endpoint, version, self.pace, self.app.metrics)
        except MLOpsError as error:
            return error.message
        except BaseException as error:  # noqa: BLE001  a model file may raise anything, SystemExit too; no signal interrupts a thread that loads
            return f"{endpoint.model} {version}: {one_line(error)}"

    def apply(self, state: dict[str, Any]) -> None:
        """Replace all tables at once, and let go of versions that the state does not keep."""
        tables, kept = {}, set()
        for name, plain in state["endpoints"].items():
            endpoint = self._endpoint(name)
            models = {version: model for (owner, version), model in self.models.items() if owner == endpoint}
            tables[endpoint] = Table.of(self.app.metrics, endpoint, plain, models, self.app.tables.get(endpoint))
            kept |= {(endpoint, version) for version in plain["loaded"]}
        before, self.app.tables = self.app.tables, tables
        kept_shadows = [table.shadow for table in tables.values()]
        for table in before.values():
            if table.shadow is not None and table.shadow not in kept_shadows:
                table.shadow.close()
        for key in self.models.keys() - kept:
            self.models.pop(key).close()

    # --- what the supervisor says

    async def _obey(self, question: dict[str, Any]) -> dict[str, Any]:
        match question["op"]:
            case "load":
                return {"faults": [await self.load(self._endpoint(name), version) for name, version in question["versions"]]}
            case "accept":
                self.apply(question["state"])
                self.accept()
            case "leave":
                await self._leave_new_ones()
            case "sync":
                self.apply(question["state"])
            case "health":
                model = self.models.get((self._endpoint(question["endpoint"]), question["version"]))
                return {"loaded": model is not None, "fault": "" if model is None else model.fault}
        return {}

    def _endpoint(self, name: str) -> EndpointKey:
        tenant, _, model = name.partition("/")
        return EndpointKey(tenant, self.app.environment, model)

    def _alone(self, following: asyncio.Task[None]) -> None:
        """The supervisor has gone: whoever answers requests goes on, whoever does not ends."""
        if not following.cancelled() and (error := following.exception()) is not None:
            _LOG.error("worker: the channel to the supervisor broke: %s", error)
        if not self._door.is_open:
            self._ending.set()

    def _connect(self) -> Connection:
        return Connection(config=self._config, server_state=self._state, app_state={}, gate=self._gate)
