"""The servers of the conformance kit: real, on the loopback, gone with whoever started them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from mlops_core.exceptions import MLOpsError
from mlops_core.testing.servers import PostgresServer, S3Server, Server, free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STARTER = """
import sys
from mlops_core.testing.servers import PostgresServer
with PostgresServer() as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_silent(port: int) -> bool:
    until = time.monotonic() + 30
    while listens(port) and time.monotonic() < until:
        time.sleep(0.05)
    return not listens(port)


def test_postgres_makes_databases_and_comes_back_after_a_crash() -> None:
    with PostgresServer() as server:
        first = server.database()
        assert first != server.database()
        assert urlsplit(first).port == server.port
        server.kill()
        assert not listens(server.port)
        server.start()
        assert listens(server.port)
        folder = server.folder
    assert not listens(server.port)
    assert not folder.exists()


def test_the_s3_server_keeps_objects_and_honours_preconditions() -> None:
    with S3Server() as server:
        bucket = server.bucket()
        client = server.client()
        client.put_object(Bucket=bucket, Key="a", Body=b"first", IfNoneMatch="*")
        with pytest.raises(client.exceptions.ClientError) as refused:
            client.put_object(Bucket=bucket, Key="a", Body=b"second", IfNoneMatch="*")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"first"
        client.close()


def test_a_server_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert listens(port)
        os.kill(process.pid, signal.SIGKILL)
    assert wait_until_silent(port)


def test_a_server_that_does_not_start_fails_with_its_log() -> None:
    class Broken(Server):
        def prepare(self) -> None:
            self.folder.joinpath("made").touch()

        def command(self) -> Sequence[str]:
            return [sys.executable, "-c", "raise SystemExit('no disk today')"]

        def answers(self) -> bool:
            return False

    server = Broken()
    with pytest.raises(MLOpsError, match="no disk today"), server:
        pass
    assert not server.folder.exists()


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20
