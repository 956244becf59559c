"""Addresses and sockets of a server."""

from __future__ import annotations

import socket
from typing import Final

from mlops_deployer_local.channel import RefusalError

__all__ = ["address_of", "bind", "listen"]

_BACKLOG: Final = 2048
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  what to call, not where to listen


def address_of(host: str, port: int) -> str:
    """Where to call a server that listens there, from this machine."""
    return f"http://{_EVERYWHERE.get(host, f'[{host}]' if ':' in host else host)}:{port}"


def listen(host: str, port: int, before: int, *, shared: bool) -> socket.socket:
    """The server's socket. While it is ``shared`` with processes that a supervisor left behind, it does not listen before others answer.

    Port 0 takes the one it had ``before`` if that is free.

    Raises:
        RefusalError: The port is taken, or the host is none of this machine's.
    """
    candidates = [port] if port else [before, 0] if before else [0]
    for candidate in candidates:
        try:
            if candidate and not shared:
                bind(host, candidate).close()  # a socket that shares would not notice another server
            return bind(host, candidate, sharing=True, listening=not shared)
        except OSError as error:
            if candidate == candidates[-1]:
                raise RefusalError(
                    f"port {candidate} of {host} cannot be taken ({error.strerror}) - give another, or 0 for a free one"
                ) from error
    raise AssertionError("there is always a candidate")


def bind(host: str, port: int, *, sharing: bool = False, listening: bool = True) -> socket.socket:
    """A socket at an address; raises ``OSError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sharing:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
        if listening:
            bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound
