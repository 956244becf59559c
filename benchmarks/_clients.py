"""Clients that never rest, in a process of their own: ``python _clients.py PORT CONNECTIONS`` sends until its input ends, then tells.

It prints one JSON list: for each request when it was sent and answered, on the machine's monotonic clock, by which version, and what went
wrong, nothing if nothing did. A connection that the server says it closes is opened again, as every client of HTTP does.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from typing import Any, Final

__all__ = ["main"]

_PATH: Final = "/v2/models/m/infer"
_BODY: Final = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.5]}]}).encode()
_REQUEST: Final = (
    f"POST {_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n".encode() + _BODY
)


def ask(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One request: status, headers and body."""
    connection.sendall(_REQUEST)
    read = b""
    while b"\r\n\r\n" not in read:
        more = connection.recv(65_536)
        if not more:
            raise ConnectionError("closed before it answered")
        read += more
    head, _, body = read.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers["content-length"]):
        more = connection.recv(65_536)
        if not more:
            raise ConnectionError("closed amid its answer")
        body += more
    return int(first.split()[1]), headers, body


def send(port: int, done: threading.Event, seen: list[tuple[float, float, str, str]]) -> None:
    """Ask on one connection after the other until it is done."""
    connection: socket.socket | None = None
    while not done.is_set():
        sent, version, wrong = time.monotonic(), "", ""
        try:
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", port), 30)
            status, headers, body = ask(connection)
            version = headers.get("x-mlops-version", "")
            wrong = _wrong(status, body, version)
            if headers.get("connection", "").lower() == "close":
                connection.close()
                connection = None
        except OSError as error:
            wrong, connection = f"{type(error).__name__}: {error}", None
        seen.append((sent, time.monotonic(), version, wrong))


def _wrong(status: int, body: bytes, version: str) -> str:
    if status != 200:
        return f"{status}: {body[:200].decode(errors='replace')}"
    answer: dict[str, Any] = json.loads(body)
    value = answer["outputs"][0]["data"][0]
    expected = 1.5 * int(version.partition(".")[0])
    return "" if answer["model_version"] == version and value == expected else f"a wrong answer: {value} by {version}"


def main() -> None:
    """Send until nobody listens any more."""
    port, connections = int(sys.argv[1]), int(sys.argv[2])
    done, seen = threading.Event(), [list[tuple[float, float, str, str]]() for _ in range(connections)]
    threads = [threading.Thread(target=send, args=(port, done, one)) for one in seen]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    done.set()
    for thread in threads:
        thread.join()
    print(json.dumps([row for one in seen for row in one]))


if __name__ == "__main__":
    main()
