"""What a server must know after a crash: one small file, replaced in one step and synced.

It is plain JSON on purpose: the supervisor that keeps it loads nothing but the standard library.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlops_deployer_local.channel import RefusalError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["EndpointRoutes", "ServerState", "read_json", "write_json"]

_FORMAT: Final = 1


@dataclass
class EndpointRoutes:
    """One endpoint: its routes as plain mappings (``name``, ``version``, ``weight``), those before, and the versions loaded for it."""

    revision: int = 0
    routes: list[dict[str, Any]] = field(default_factory=list)
    shadow: str | None = None
    previous: list[dict[str, Any]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def routed(self) -> set[str]:
        """Versions that the routes name."""
        return {one["version"] for one in self.routes} | ({self.shadow} if self.shadow else set())


@dataclass
class ServerState:
    """All endpoints of one server, by ``tenant/model``; ``port`` is the one it was given last; ``stopped``: a person ended it."""

    port: int = 0
    stopped: bool = False
    endpoints: dict[str, EndpointRoutes] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> ServerState:
        """The state on disk; an empty one if there is no file.

        Raises:
            ValueError: It was written by a newer release, or is no state.
        """
        data = read_json(path)
        if data is None:
            return cls()
        if data.get("format") != _FORMAT:
            raise ValueError(f"{path.name}: format {data.get('format')!r} is not known to this release - install a newer one")
        endpoints = {name: EndpointRoutes(**one) for name, one in data["endpoints"].items()}
        return cls(data["port"], data["stopped"], endpoints)

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        endpoints = {name: vars(one) for name, one in self.endpoints.items()}
        return {"format": _FORMAT, "port": self.port, "stopped": self.stopped, "endpoints": endpoints}

    def endpoint(self, name: str) -> EndpointRoutes:
        """The endpoint, added if it is new."""
        return self.endpoints.setdefault(name, EndpointRoutes())

    def unload(self, name: str, version: str) -> None:
        """Forget a version that is not routed.

        Raises:
            RefusalError: It is routed.
        """
        one = self.endpoint(name)
        if version in one.routed():
            raise RefusalError(f"version {version} is routed - route around it before it is unloaded")
        one.loaded = [other for other in one.loaded if other != version]

    def versions(self) -> list[tuple[str, str]]:
        """Every (endpoint, version) that is to be in memory."""
        return [(name, version) for name, one in sorted(self.endpoints.items()) for version in one.loaded]


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
