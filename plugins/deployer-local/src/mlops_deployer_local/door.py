"""Where connections come in: closed without losing one that was let in.

``asyncio.Server`` drops connections that it has accepted, but not yet handed on, when it is closed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["Door"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_BACKLOG: Final = 2048
_PAUSE: Final = 0.5


class Door:
    """Accepts on a listening socket that other processes may share; ``connect`` makes the protocol of a connection."""

    def __init__(self, listener: socket.socket, connect: Callable[[], asyncio.Protocol]) -> None:
        self.is_open = False
        self._listener, self._connect = listener, connect
        self._entering: set[asyncio.Task[object]] = set()

    def open(self) -> None:
        """Begin to accept."""
        self.is_open = True
        self._listener.setblocking(False)  # noqa: FBT003  the library's signature
        self._listener.listen(_BACKLOG)
        asyncio.get_running_loop().add_reader(self._listener, self._let_in)

    async def close(self) -> None:
        """Accept what waits already, since where nobody shares the queue it would be reset; then no more."""
        if not self.is_open:
            return
        self.is_open = False
        asyncio.get_running_loop().remove_reader(self._listener)
        self._let_in()
        self._listener.close()
        await asyncio.gather(*self._entering, return_exceptions=True)

    def _let_in(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                _LOG.error("no connection can be accepted, tried again in %g s: %s", _PAUSE, error)
                loop.remove_reader(self._listener)
                loop.call_later(_PAUSE, self._try_again)
                return
            entering = loop.create_task(loop.connect_accepted_socket(self._connect, client))
            self._entering.add(entering)
            entering.add_done_callback(self._entering.discard)

    def _try_again(self) -> None:
        if self.is_open:
            asyncio.get_running_loop().add_reader(self._listener, self._let_in)
