"""A place between a store and its server where the network breaks, and the processes that die."""

from __future__ import annotations

import hashlib
import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import psycopg
import pytest
from attrs import define, field

from mlops_core.records import Blob, ModelVersion, Query
from mlops_registry_sql.postgres import PostgresRegistry
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlops_registry_sql.registry import SqlRegistry

WRITER = Path(__file__).with_name("registry_writer.py")
ROUNDS = 2
REQUEST = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ")


@define(eq=False)
class Proxy:
    """Forwards TCP from a port of 127.0.0.1 to that of a server, and breaks as it is told."""

    target: int
    seen: int = field(default=0, init=False)  # requests of HTTP
    _socket: socket.socket = field(init=False)
    _open: set[socket.socket] = field(factory=set, init=False)
    _flowing: threading.Event = field(factory=threading.Event, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _threads: list[threading.Thread] = field(factory=list, init=False)
    _down: bool = field(default=False, init=False)
    _lost: bytes = field(default=b"", init=False)
    _refused: tuple[int, int] = field(default=(0, 0), init=False)

    def __attrs_post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._flowing.set()
        self._begin(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flowing.set()
        self._down = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._end_all()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def cut(self) -> None:
        """End every connection, and every new one at once."""
        self._down = True
        self._end_all()

    def hang(self) -> None:
        """Take every byte and forward none."""
        self._flowing.clear()

    def lose_answer(self, to: bytes) -> None:
        """Forward the next request that holds these bytes, wait for the answer, and end the connection in its stead."""
        self._lost = to

    def answer(self, status: int, *, after: int) -> None:
        """HTTP: answer every request but the next ``after`` with this status."""
        self.seen, self._refused = 0, (status, after)

    def recover(self) -> None:
        """Forward again; what hung is gone."""
        self._down, self._lost, self._refused = False, b"", (0, 0)
        self._end_all()
        self._flowing.set()

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            if self._down:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            losing = threading.Event()
            self._begin(self._pump, client, server, losing, client)
            self._begin(self._pump, server, client, losing, client)

    def _pump(self, source: socket.socket, sink: socket.socket, losing: threading.Event, client: socket.socket) -> None:
        asking = source is client
        try:
            while data := source.recv(1 << 16):
                self._flowing.wait()
                if asking and self._refuse(data, source):
                    break
                if asking and self._lost and self._lost in data:
                    self._lost = b""
                    losing.set()
                if not asking and losing.is_set():
                    break
                sink.sendall(data)
        except OSError:
            pass  # the other side is gone
        self._end(source, sink)

    def _refuse(self, data: bytes, client: socket.socket) -> bool:
        """Whether a request was answered here."""
        status, after = self._refused
        if not status or not data.startswith(REQUEST):
            return False
        with self._lock:
            self.seen += 1
            if self.seen <= after:
                return False
        body = b"<Error><Code>Refused</Code><Message>No space left on device</Message></Error>"
        head = f"HTTP/1.1 {status} Refused\r\nConnection: close\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + (b"" if data.startswith(b"HEAD ") else body))
        client.shutdown(socket.SHUT_WR)
        client.settimeout(5)
        while client.recv(1 << 16):
            pass  # closed over unread bytes, the answer would be lost
        return True

    def _end(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._open -= set(sockets)
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _end_all(self) -> None:
        with self._lock:
            mine = list(self._open)
        self._end(*mine)


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """Puts a proxy before a port."""
    made: list[Proxy] = []

    def make(target: int) -> Proxy:
        made.append(Proxy(target))
        return made[-1]

    yield make
    for one in made:
        with one:
            pass


@define(eq=False)
class Writer:
    """The process that starts the processes that die."""

    process: subprocess.Popen[str]
    stdin: IO[str]
    stdout: IO[str]

    def run(self, place: Place, *, worker: int = 0, rounds: int = ROUNDS, **dies: Any) -> dict[str, int]:
        """How the child ended."""
        self.begin(place, worker=worker, rounds=rounds, **dies)
        return self.end()

    def begin(self, place: Place, **request: Any) -> None:
        self.stdin.write(json.dumps({**place.request(), **request}) + "\n")
        self.stdin.flush()

    def end(self) -> dict[str, int]:
        answer: dict[str, int] = json.loads(self.stdout.readline())
        return answer


@define(eq=False)
class Place:
    """A registry of its own, of either kind: in PostgreSQL where there is a URL, else in SQLite. What it promised is checked here."""

    folder: Path
    url: str = ""
    schema: str = field(factory=lambda: f"s{uuid.uuid4().hex}")

    def request(self) -> dict[str, str]:
        """What a writer has to know."""
        return {"folder": str(self.folder), "url": self.url, "schema": self.schema}

    def open(self) -> SqlRegistry:
        artifacts = self.folder / "artifacts"
        if self.url:
            return PostgresRegistry(self.url, artifacts, schema=self.schema)
        return SqliteRegistry(self.folder / "registry.db", artifacts)

    def acknowledged(self) -> list[dict[str, Any]]:
        path = self.folder / "acknowledged"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def temporary(self) -> list[str]:
        place = self.folder / "artifacts" / ".tmp"
        return sorted(path.name for path in place.iterdir()) if place.is_dir() else []

    def settle(self) -> None:
        """Wait until the server has ended what dead clients had sent to it."""
        if not self.url:
            return
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mlops'"
        with psycopg.connect(self.url, autocommit=True) as connection:
            until = time.monotonic() + 30
            while connection.execute(others).fetchone() != (0,):
                assert time.monotonic() < until, "a dead client's transaction goes on"
                time.sleep(0.005)

    def check_promises(self) -> None:
        """Open the registry as the next process does, and compare with what was acknowledged."""
        self.settle()
        with closing(self.open()) as store:
            store.check()
            assert self.temporary() == []
            swept = list(store.leftovers(timedelta(0)))
            there = {one.number or 0: one for one in store.find_versions("acme", Query(), retired=True).items}
            assert sorted(there) == list(range(1, len(there) + 1))
            assert len({one.key for one in there.values()}) == len(there)
            check_bytes(store, there)
            self._check_acknowledged(store, there)
            unnamed = {leftover.location.rpartition("/")[2] for leftover in swept}
            named = {blob.sha256 for one in there.values() for blob in one.blobs()}
            assert {what["blob"] for what in self.acknowledged() if "blob" in what} <= unnamed | named
            assert not unnamed & named
            assert all(store.discard(leftover) for leftover in swept)
            self._forget_blobs()
            assert list(store.leftovers(timedelta(0))) == []
            check_bytes(store, there)
        self._check_database()

    def _check_acknowledged(self, store: SqlRegistry, there: dict[int, ModelVersion]) -> None:
        living = {one.version for one in store.find_versions("acme", Query()).items}
        entries = store.read("acme", "aliases/m/champion")
        assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
        assert [(entry.state or {})["moves"] for entry in entries] == list(range(1, len(entries) + 1))
        for what in self.acknowledged():
            if "version" in what:
                assert there[int(what["version"])].key == what["key"]
            elif "alias" in what:
                assert entries[what["position"] - 1].key == what["alias"]
            elif "retired" in what:
                assert what["retired"] not in living
                assert what["retired"] in {entry.change["version"] for entry in store.read("acme", "versions/m")}

    def _forget_blobs(self) -> None:
        """A sweep without grace took those that no version names yet: the next check must not ask for them."""
        kept = [json.dumps(what) for what in self.acknowledged() if "blob" not in what]
        (self.folder / "acknowledged").write_text("".join(f"{line}\n" for line in kept))

    def _check_database(self) -> None:
        if not self.url:
            with closing(sqlite3.connect(self.folder / "registry.db")) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert connection.execute("PRAGMA foreign_key_check").fetchall() == []

    def check_retry(self, writer: Writer, workers: int = 1, rounds: int = ROUNDS) -> None:
        """The same requests again complete, and register nothing twice."""
        for worker in range(workers):
            assert writer.run(self, worker=worker, rounds=rounds) == {"signal": 0, "code": 0}
        self.check_promises()
        with closing(self.open()) as store:
            assert len(store.find_versions("acme", Query(), retired=True).items) == workers * rounds
            assert len(store.read("acme", "aliases/m/champion")) == workers * rounds
            assert len(store.read("acme", "versions/m")) == workers


def check_bytes(store: SqlRegistry, versions: dict[int, ModelVersion]) -> None:
    """Every artifact of every version is there, whole."""
    assert all(digest(store, blob) == blob.sha256 for one in versions.values() for blob in one.blobs())


def digest(store: SqlRegistry, blob: Blob) -> str:
    with closing(store.open_artifact("acme", blob)) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def start_writer() -> Iterator[Writer]:
    with subprocess.Popen([sys.executable, str(WRITER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Writer(process, process.stdin, process.stdout)
        process.stdin.close()


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    yield from start_writer()


@pytest.fixture(scope="module")
def rival() -> Iterator[Writer]:
    yield from start_writer()


@pytest.fixture(scope="module")
def place_of(request: pytest.FixtureRequest) -> Callable[..., Place]:
    """A fresh registry in a folder that is made, of a kind (``sqlite``, ``postgres``) or in the database of a URL."""
    urls: dict[str, str] = {"sqlite": ""}

    def make(kind: str, folder: Path) -> Place:
        if kind == "postgres" and kind not in urls:
            urls[kind] = request.getfixturevalue("postgres").database()
        folder.mkdir(exist_ok=True)
        return Place(folder, urls.get(kind, kind))

    return make
