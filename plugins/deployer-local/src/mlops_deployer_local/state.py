"""What a server must know after a crash: one small file, replaced in one step and synced.

It is plain JSON on purpose: the supervisor that keeps it loads nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from mlops_deployer_local.channel import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    Pair = tuple[str, str]

__all__ = ["EndpointRoutes", "ServerState", "StateFile", "locked", "read_json", "server_folder", "write_json"]

_FORMAT: Final = 2
_READABLE: Final = (1, _FORMAT)
_CRASHES_KEPT: Final = 64


def server_folder(workdir: Path) -> Path:
    """Where an environment's server keeps what is its own."""
    return workdir / "server"


@dataclass
class EndpointRoutes:
    """One endpoint: its routes as plain mappings (``name``, ``version``, ``weight``), those before, and the versions loaded for it.

    ``crashes``: how many serving processes ended unexpectedly while a revision of the routes held, by revision, which JSON has as text.
    """

    revision: int = 0
    routes: list[dict[str, Any]] = field(default_factory=list)
    shadow: str | None = None
    previous: list[dict[str, Any]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    crashes: dict[str, int] = field(default_factory=dict)

    def routed(self) -> set[str]:
        """Versions that the routes name."""
        return {one["version"] for one in self.routes} | ({self.shadow} if self.shadow else set())


@dataclass
class ServerState:
    """All endpoints of one server, by ``tenant/model``; ``port`` is the one it was given last; ``stopped``: a person ended it.

    ``crashed``: how many serving processes ended unexpectedly, ever.
    """

    port: int = 0
    stopped: bool = False
    endpoints: dict[str, EndpointRoutes] = field(default_factory=dict)
    crashed: int = 0

    @classmethod
    def read(cls, path: Path) -> ServerState:
        """The state on disk; an empty one if there is no file.

        Raises:
            ValueError: It was written by a newer release, or is no state.
        """
        data = read_json(path)
        if data is None:
            return cls()
        if data.get("format") not in _READABLE:
            raise ValueError(f"{path.name}: format {data.get('format')!r} is not known to this release - install a newer one")
        endpoints = {name: EndpointRoutes(**one) for name, one in data["endpoints"].items()}
        return cls(data["port"], data["stopped"], endpoints, data.get("crashed", 0))

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        endpoints = {name: vars(one) for name, one in self.endpoints.items()}
        return {"format": _FORMAT, "port": self.port, "stopped": self.stopped, "endpoints": endpoints, "crashed": self.crashed}

    def endpoint(self, name: str) -> EndpointRoutes:
        """The endpoint, added if it is new."""
        return self.endpoints.setdefault(name, EndpointRoutes())

    def start(self, port: int) -> None:
        """The server runs, at this port."""
        self.port, self.stopped = port, False

    def stop(self) -> None:
        """A person ended it."""
        self.stopped = True

    def route(self, name: str, wanted: EndpointRoutes) -> None:
        """Replace the routes. Those before are kept, unless the new ones are the same; so are the loaded versions."""
        one = self.endpoint(name)
        previous = one.previous if one.routes == wanted.routes else one.routes
        self.endpoints[name] = replace(wanted, previous=previous, loaded=one.loaded, crashes=one.crashes)

    def crash(self, holders: Collection[str] = ()) -> None:
        """A process ended unexpectedly: count it for the endpoints of which it held requests; if of none, for all that take some."""
        self.crashed += 1
        for name, one in self.endpoints.items():
            if one.routes and (name in holders or not holders):
                one.crashes[str(one.revision)] = one.crashes.get(str(one.revision), 0) + 1
                one.crashes = dict(list(one.crashes.items())[-_CRASHES_KEPT:])

    def load(self, name: str, version: str) -> None:
        """Keep a version from now on."""
        loaded = self.endpoint(name).loaded
        loaded.extend([] if version in loaded else [version])

    def unload(self, name: str, version: str) -> None:
        """Forget a version that is not routed.

        Raises:
            RefusalError: It is routed.
        """
        if version in self.endpoint(name).routed():
            raise RefusalError(f"version {version} is routed - route around it before it is unloaded")
        self.forget([(name, version)])

    def forget(self, pairs: Iterable[Pair]) -> None:
        """Forget those of these versions that are not routed."""
        for name, version in pairs:
            one = self.endpoint(name)
            one.loaded = [other for other in one.loaded if other != version or other in one.routed()]

    def routed(self) -> set[Pair]:
        """Every (endpoint, version) that the routes name."""
        return {(name, version) for name, one in self.endpoints.items() for version in one.routed()}

    def versions(self) -> list[tuple[str, str]]:
        """Every (endpoint, version) that is to be in memory."""
        return [(name, version) for name, one in sorted(self.endpoints.items()) for version in one.loaded]


class StateFile:
    """The state and its file: changed together, the file first. A change is complete before the loop of the supervisor goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = ServerState.read(path)

    def change(self, change: Callable[[ServerState], None]) -> None:
        """Change a copy, write it, and have it as the state; what raises has changed nothing."""
        state = deepcopy(self.now)
        change(state)
        write_json(self.path, state.plain())
        self.now = state


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time has this file, which is made where it is missing."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # by name: a child that was forked meanwhile holds the file open, and with it the lock
        os.close(handle)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON mapping from a file; None if there is no file.

    Raises:
        ValueError: It holds something else.
    """
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    if not isinstance(data, dict):
        raise ValueError(f"{path.name}: not a JSON mapping - remove the file")  # noqa: TRY004  the caller knows one error for bad content
    return data


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace a private file in one step; synced when this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(json.dumps(data, separators=(",", ":")).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
