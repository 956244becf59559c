"""The deployer ``local``: an HTTP server on this machine that outlives the process which deployed to it."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import asdict, define, field

from mlops_core.exceptions import ConflictError, DeploymentError
from mlops_core.records import EndpointKey, Health, HealthStatus, Observed, Plan, Variant
from mlops_core.records.routing import check_routes
from mlops_core.roles import DeployContext, Deployer
from mlops_deployer_local.channel import RefusalError, ask_once
from mlops_deployer_local.listening import address_of
from mlops_deployer_local.process import end_all, is_alive, memory_of
from mlops_deployer_local.state import EndpointRoutes, ServerState, locked, read_json, server_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlops_core.records import ModelVersion
    from mlops_core.roles import ServingHost

__all__ = ["LocalDeployer"]

_DAY: Final = 86_400
_BOUNDS: Final[dict[str, tuple[float, int]]] = {
    "port": (0, 65_535),
    "workers": (1, 1_000),
    "threads": (1, 1_000),
    "batch": (1, 10_000),
    "deadline": (0.001, _DAY),
    "backlog": (1, 1_000_000),
    "body_limit": (1, 1 << 40),
    "request_timeout": (0.001, _DAY),
    "keep_alive": (0, _DAY),
    "drain_timeout": (0, _DAY),
}
_ANSWER: Final = 60.0
_MARGIN: Final = 30.0
_DYING: Final = 5.0
_SPARE: Final = 5.0
_POLL: Final = 0.02


class _GoneError(DeploymentError):
    """The supervisor died before it answered."""


@define(eq=False)
class LocalDeployer(Deployer):
    """One server per environment and project."""

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"process", "shadow"})

    port: int = field(default=0, metadata={"help": "TCP port; 0 takes a free one and keeps it"})
    host: str = field(default="127.0.0.1", metadata={"help": "address to listen on; any but the loopback needs tokens"})
    workers: int = field(default=1, metadata={"help": "serving processes, each with every routed version in memory"})
    threads: int = field(default=1, metadata={"help": "predictions of one version that run at a time in a process"})
    batch: int = field(
        default=1, metadata={"help": "requests joined to one prediction, at most, of those that wait while a version is busy"}
    )
    deadline: float = field(default=30.0, metadata={"help": "seconds that a prediction may take; longer is answered with 504"})
    backlog: int = field(default=256, metadata={"help": "requests of one version that may wait in a process; more are answered with 503"})
    body_limit: int = field(default=1_000_000, metadata={"help": "bytes of a request's body; more is answered with 413"})
    request_timeout: float = field(default=10.0, metadata={"help": "seconds until a request has arrived; later is answered with 408"})
    keep_alive: float = field(default=5.0, metadata={"help": "seconds after which a silent connection is closed"})
    drain_timeout: float = field(
        default=30.0,
        metadata={
            "help": "seconds that a replaced process has to answer what it began; no fewer than request_timeout, deadline and 5 more"
        },
    )
    _environment: str = field(default="", init=False, repr=False)
    _context: DeployContext | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:  # so is NaN refused
                raise DeploymentError(f"deployer local: {name} is {getattr(self, name)} - give {least:g} to {most}")

    @property
    def patience(self) -> float:
        """Seconds that a process has to answer what it began: enough for a request that arrives slowly and is predicted slowly."""
        return max(self.drain_timeout, self.request_timeout + self.deadline + _SPARE)

    # --- the role

    def attach(self, environment: str, context: DeployContext) -> None:
        """Keep the environment's name and folder."""
        self._environment, self._context = environment, context

    def check(self) -> None:
        """Refuse an address that is open to others while requests need no token."""
        self._check_address(self._attached())

    def load(self, endpoint: EndpointKey, version: ModelVersion, context: DeployContext) -> None:
        """Load and warm in fresh serving processes, which then take the place of those that serve."""
        self._context = context
        self._check_address(context)
        plan = self._plan(context)
        self._ask_anew("load", context.timeout, endpoint=_name(endpoint), version=version.version, timeout=context.timeout, plan=plan)

    def health(self, endpoint: EndpointKey, version: str) -> Health:
        """What the version did when it was warmed."""
        if self._server() is None:
            return Health(HealthStatus.UNHEALTHY, "the server does not run")
        answer = self._ask("health", endpoint=_name(endpoint), version=version)
        if not answer["loaded"]:
            return Health(HealthStatus.UNKNOWN, f"version {version} is not loaded")
        return Health(HealthStatus.UNHEALTHY if answer["fault"] else HealthStatus.HEALTHY, answer["fault"])

    def set_routes(self, endpoint: EndpointKey, variants: tuple[Variant, ...], shadow: str | None, expected_revision: int) -> int:
        """Synced to the state file, then followed by every serving process before this returns."""
        check_routes(variants)
        routes = [asdict(variant) for variant in variants]
        question = {"endpoint": _name(endpoint), "routes": routes, "shadow": shadow, "expected": expected_revision}
        answer = self._ask_anew("routes", max(_ANSWER, self.patience), **question)  # processes that leave may have to end first
        return int(answer["revision"])

    def unload(self, endpoint: EndpointKey, version: str) -> None:
        """Release a version; while the server is stopped, it is only forgotten."""
        with self._starting():
            if self._server() is None:
                state = ServerState.read(self._folder / "state.json")
                try:
                    state.unload(_name(endpoint), version)
                except RefusalError as error:
                    raise self._refused(error.message) from error
                write_json(self._folder / "state.json", state.plain())
                return
        self._ask("unload", endpoint=_name(endpoint), version=version)

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        """The endpoint as the state file has it, which is written before routes change. Starts nothing, and asks nobody."""
        info = self._server()
        running = info is not None
        state = self._read_state()
        one = state.endpoints.get(_name(endpoint), EndpointRoutes())
        status = "running" if running else "stopped" if state.stopped or not state.port else "down"
        detail: dict[str, Any] = {"server": status, **({"crashes": one.crashes} if one.crashes else {})}
        if info is not None and (size := memory_of(pid for pid, _ in info["workers"])):
            detail["memory"] = size
        return Observed(
            url=f"{address_of(self.host, state.port)}/v2/models/{endpoint.model}" if state.port else "",
            revision=one.revision,
            routes=tuple(Variant(**route) for route in one.routes),
            shadow=one.shadow,
            previous=tuple(Variant(**route) for route in one.previous),
            loaded=tuple(sorted(one.loaded)) if running else (),
            detail=detail,
        )

    def plan(self, endpoint: EndpointKey, versions: Sequence[ModelVersion], variants: tuple[Variant, ...], shadow: str | None) -> Plan:
        """The calls of the role, and the processes that serve afterwards."""
        calls = super().plan(endpoint, versions, variants, shadow).calls
        note = f"a load starts {self.workers} fresh serving processes, which then take the place of those that run"
        processes = {"supervisor": 1, "serving process": self.workers}
        return Plan(calls, processes, (note,) if calls[0].name == "load" else ())

    def serve(self, host: ServingHost, args: Sequence[str]) -> None:
        """Run a serving process: ``worker CONTROL LISTENER`` under a supervisor, or ``alone TENANT/MODEL/VERSION`` in the foreground.

        ``open`` behind that: others may ask without a token, as in a container whose port only its own proxy reaches.
        """
        from mlops_deployer_local.serving import serve_alone, serve_under

        words = list(args)
        if words[2:] == ["open"] and words[0] == "alone":
            words.pop()
        else:
            self._check_open(host)
        match words:
            case ["worker", control, listener]:
                asyncio.run(serve_under(self, host, self._environment, int(control), int(listener)))
            case ["alone", name]:
                asyncio.run(serve_alone(self, host, self._environment, name))
            case _:
                raise DeploymentError(f"deployer local: it does not serve {' '.join(args)!r}")

    def shutdown(self) -> None:
        """End the server and everything that it started; its routes stay for the next start."""
        with self._starting():
            info = read_json(self._folder / "server.json")
            if info is None:
                return
            processes = [(info["pid"], info["started"]), *((pid, begun) for pid, begun in info["workers"])]
            if self._server() is not None:
                self._ask("stop")
                wait = self.patience + _MARGIN
            else:
                wait = _MARGIN
            left = end_all(processes, wait)
            if left:
                raise self._refused(f"processes {', '.join(str(pid) for pid, _ in left)} do not end - end them by hand")
            (self._folder / "server.json").unlink(missing_ok=True)

    # --- the server

    def _ensure(self) -> None:
        """Have a server: what a crash or a reboot ended is started again from its state file."""
        if self._server() is not None:
            return
        context = self._attached()
        self._check_address(context)
        with self._starting():
            if self._server() is None:
                self._launch(context)

    def _plan(self, context: DeployContext) -> dict[str, Any]:
        return {
            "command": context.command,
            "host": self.host,
            "port": self.port,
            "workers": self.workers,
            "patience": self.patience + _SPARE,  # the process looks for itself: who is still there then hangs
            "loading": context.timeout,
            "environ": dict(os.environ),
        }

    def _launch(self, context: DeployContext) -> None:
        plan = self._plan(context)
        command = [sys.executable, "-m", "mlops_deployer_local.supervisor", str(self._folder)]
        try:
            done = subprocess.run(
                command, input=json.dumps(plan), capture_output=True, text=True, timeout=context.timeout + _MARGIN, check=False
            )
            answer = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise self._refused(f"the server did not start - {self._folder / 'server.log'} says more") from error
        if "error" in answer:
            raise self._refused(answer["error"])

    def _server(self) -> dict[str, Any] | None:
        """What a living supervisor wrote of itself."""
        info = read_json(self._folder / "server.json")
        return info if info is not None and is_alive((info["pid"], info["started"])) else None

    def _ask(self, op: str, patience: float = _ANSWER, **question: Any) -> dict[str, Any]:
        info = self._server()
        if info is None:
            raise _GoneError(f"environment {self._environment}: the server has gone - call again to start it")
        try:
            return ask_once(info["control"], {"op": op, "secret": info["secret"], **question}, patience + _MARGIN)
        except RefusalError as error:
            if error.kind == "conflict":
                raise ConflictError(f"deployer local: {error.message}", head=error.head) from error
            raise self._refused(error.message) from error
        except (OSError, ValueError) as error:
            raise _GoneError(f"environment {self._environment}: the server does not answer ({error})") from error

    def _ask_anew(self, op: str, patience: float = _ANSWER, **question: Any) -> dict[str, Any]:
        """The same of a server that is started if need be, and started again if it dies over it."""
        self._ensure()
        try:
            return self._ask(op, patience, **question)
        except _GoneError:
            deadline = time.monotonic() + _DYING
            while self._server() is not None and time.monotonic() < deadline:
                time.sleep(_POLL)
            self._ensure()
            return self._ask(op, patience, **question)

    def _read_state(self) -> ServerState:
        try:
            return ServerState.read(self._folder / "state.json")
        except ValueError as error:
            raise self._refused(str(error)) from error

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """One process at a time starts or ends the server."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._folder / "start.lock"):
            yield

    @property
    def _folder(self) -> Path:
        return server_folder(self._attached().workdir)

    def _attached(self) -> DeployContext:
        if self._context is None:
            raise DeploymentError("deployer local: it was given no environment - call attach() first")
        return self._context

    def _check_address(self, context: DeployContext) -> None:
        if not self._is_loopback() and not context.guarded:
            raise self._refused(f"host {self.host} is open to other machines, and no tokens are set - set tokens, or listen on 127.0.0.1")

    def _check_open(self, host: ServingHost) -> None:
        """The same question to the ports of a serving process: without tokens, none at all is welcome."""
        if self._is_loopback():
            return
        try:
            host.authenticate(None)
        except DeploymentError:
            return
        raise self._refused(f"host {self.host} is open to other machines, and no tokens are set - set tokens, or listen on 127.0.0.1")

    def _is_loopback(self) -> bool:
        try:
            found = {info[4][0] for info in socket.getaddrinfo(self.host, None)}
        except (OSError, UnicodeError) as error:
            raise self._refused(f"host {self.host!r} is no address of a machine ({error}) - give one of this machine's") from error
        return all(ipaddress.ip_address(address).is_loopback for address in found)

    def _refused(self, message: str) -> DeploymentError:
        return DeploymentError(f"environment {self._environment}: {message}")


def _name(endpoint: EndpointKey) -> str:
    return f"{endpoint.tenant}/{endpoint.model}"
