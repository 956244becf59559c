"""One PostgreSQL server for all tests of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.servers import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server
