"""httptools' parser for a server that speaks HTTP/1.1 only: a wish for another protocol is passed over, as the standard allows.

httptools itself ends at such a request and takes its body for the other protocol's. Java's client wishes for HTTP/2 with each request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Parser"]


class Parser:
    """What uvicorn asks of a parser. ``head`` answers the request line and the headers of the request that is being parsed."""

    def __init__(self, protocol: Any, head: Callable[[], tuple[bytes, list[tuple[bytes, bytes]]]]) -> None:
        self._protocol, self._head = protocol, head
        self._parser = self._fresh()

    def feed_data(self, data: bytes) -> None:
        """Parse; the protocol hears of every part.

        Raises:
            httptools.HttpParserError: It is not HTTP, or a request for a tunnel.
        """
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as wish:
                if self._parser.get_method() == b"CONNECT":
                    raise httptools.HttpParserError("this is no proxy") from wish
                line, headers = self._head()
                kept = b"".join(b"%b: %b\r\n" % one for one in headers if one[0] != b"upgrade")
                self._parser, data = self._fresh(), line + kept + b"\r\n" + data[wish.args[0] :]
            else:
                return

    def should_upgrade(self) -> bool:
        """Whether this request will come again, without its wish."""
        return bool(self._parser.should_upgrade())

    def should_keep_alive(self) -> bool:
        """Whether another request may follow."""
        return bool(self._parser.should_keep_alive())

    def get_http_version(self) -> str:
        """Such as 1.1."""
        return str(self._parser.get_http_version())

    def get_method(self) -> bytes:
        """Such as POST."""
        return bytes(self._parser.get_method())

    def _fresh(self) -> Any:
        parser = httptools.HttpRequestParser(self._protocol)
        if hasattr(parser, "set_dangerous_leniencies"):  # as uvicorn has it: what follows a request that closes is answered with it
            parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser
