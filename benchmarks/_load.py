"""Clients of a server, cheap enough not to be what is measured: plain sockets that are kept, and one request at a time on each."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Load", "answered", "load", "pinned", "post", "tree"]

_PATIENCE: Final = 60.0
_PPID: Final = 1  # a field of /proc/PID/stat, counted behind the name


@frozen
class Load:
    """What so many requests took: seconds of the wall, and of the server's processors."""

    requests: int
    wall: float
    cpu: float


def post(path: str, body: bytes, **headers: str) -> bytes:
    """The bytes of a request."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def load(port: int, request: bytes, connections: int, count: int, pid: int) -> Load:
    """Send one request ``count`` times over so many connections, and watch the process and its children.

    Raises:
        SystemExit: A request failed, or nothing came for a minute.
    """
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)]
        clients = {one.fileno(): one for one in opened}
        poll = stack.enter_context(contextlib.closing(select.epoll(connections)))
        for one in opened:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(one, select.EPOLLIN)
        pids = tree(pid)
        before, began = cpu(pids), time.perf_counter()
        _exchange(poll, clients, request, count)
        wall = time.perf_counter() - began
        return Load(count, wall, cpu(pids) - before)


def _exchange(poll: select.epoll, clients: dict[int, socket.socket], request: bytes, count: int) -> None:
    """Until every request is answered."""
    pieces = dict.fromkeys(clients, b"")
    waiting = count
    for one in clients.values():
        one.sendall(request)
        waiting -= 1
    done = 0
    while done < count:
        ready = poll.poll(_PATIENCE)
        if not ready:
            raise SystemExit("serving: no answer for a minute")
        for number, _ in ready:
            answer = pieces[number] + clients[number].recv(1 << 16)
            if not _is_whole(answer):
                pieces[number] = answer
                continue
            pieces[number] = b""
            done += 1
            if waiting > 0:
                clients[number].sendall(request)
                waiting -= 1


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    if head < 0 and answer:
        return False
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"serving: a request failed: {answer[:400]!r}")
    at = answer.lower().find(b"content-length:", 0, head)
    if at < 0:
        raise SystemExit(f"serving: an answer without a length: {answer[:400]!r}")
    return len(answer) >= head + 4 + int(answer[at + 15 : answer.find(b"\r", at)])


def answered(port: int, request: bytes) -> bytes:
    """The body of one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as one:
        one.sendall(request)
        answer = b""
        while not (answer and _is_whole(answer)):
            part = one.recv(1 << 16)
            if not part:
                raise SystemExit("serving: the connection was closed")
            answer += part
    return answer.partition(b"\r\n\r\n")[2]


def tree(pid: int) -> list[int]:
    """A process and its children, and theirs."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parents[int(path.parent.name)] = int(_fields(path)[_PPID])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu(pids: list[int]) -> float:
    """Seconds that these processes computed, in user and system mode: of each thread in nanoseconds, where ``stat`` has hundredths."""
    spent = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # a thread that ended meanwhile
                spent += int(path.read_text(encoding="ascii").split()[0])
    return spent / 1e9


def _fields(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Stay on one core meanwhile; so do children that are started."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
