"""One PostgreSQL and one S3 server for all tests of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.servers import PostgresServer, S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server
