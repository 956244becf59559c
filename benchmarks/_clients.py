"""Clients that never rest, in a process of their own: ``python _clients.py PORT CONNECTIONS`` sends until its input ends, then tells.

It prints one JSON list: for each request when it was sent, routed and answered, on the machine's monotonic clock, by which version, and
what went wrong, nothing if nothing did. A connection that the server says it closes is opened again, as every client of HTTP does.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from typing import Any, Final

__all__ = ["main"]

_Row = tuple[float, float, float, str, str]

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


def send(port: int, done: threading.Event, seen: list[_Row]) -> None:
    """Ask on one connection after the other until it is done."""
    connection: socket.socket | None = None
    while not done.is_set():
        sent, routed, version, wrong = time.monotonic(), 0.0, "", ""
        try:
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", port), 30)
            status, headers, body = ask(connection)
            version = headers.get("x-mlops-version", "")
            routed, wrong = _read(status, body, version)
            if headers.get("connection", "").lower() == "close":
                connection.close()
                connection = None
        except OSError as error:
            wrong, connection = f"{type(error).__name__}: {error}", None
        seen.append((sent, routed, time.monotonic(), version, wrong))


def _read(status: int, body: bytes, version: str) -> tuple[float, str]:
    """When the model was asked, and what is wrong with the answer."""
    if status != 200:
        return 0.0, f"{status}: {body[:200].decode(errors='replace')}"
    answer: dict[str, Any] = json.loads(body)
    outputs = {one["name"]: one["data"][0] for one in answer["outputs"]}
    expected = 1.5 * int(version.partition(".")[0])
    right = answer["model_version"] == version and outputs["y"] == expected
    return outputs["asked"], "" if right else f"a wrong answer: {outputs['y']} by {version}"


def main() -> None:
    """Send until nobody listens any more."""
    port, connections = int(sys.argv[1]), int(sys.argv[2])
    done, seen = threading.Event(), [list[_Row]() for _ in range(connections)]
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
