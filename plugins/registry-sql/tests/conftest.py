"""One PostgreSQL and one S3 server for all tests of a worker, and what may happen to a process."""

from __future__ import annotations

import os
import resource
import signal
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.servers import PostgresServer, S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer(options=("fsync=off",)) as server:  # a killed server loses nothing of it; a power cut is not tried
        yield server


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@contextmanager
def interrupted() -> Iterator[None]:
    """A moment later, Ctrl-C; by another signal, since test workers ignore that of the keyboard."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
    before = signal.signal(signal.SIGUSR1, interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def many_files() -> Iterator[None]:
    """What is opened from now on has a number of 1024 or more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with ExitStack() as stack:
            while stack.enter_context(Path(os.devnull).open()).fileno() < 1024:
                pass
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
