"""Options of the core's tests, and the servers of those that need one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.servers import PostgresServer, S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fault-rounds",
        type=int,
        default=3,
        help="how many random moments a fault test tries (default 3; the session `faults` tries 20)",
    )
    parser.addoption(
        "--fault-long",
        action="store_true",
        help="collect the fault tests that take minutes too: a kill at every system call, files of gigabytes",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those that take minutes are asked for by their option."""
    if config.getoption("--fault-long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def fault_rounds(request: pytest.FixtureRequest) -> int:
    """How many random moments a fault test tries."""
    return int(request.config.getoption("--fault-rounds"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a worker."""
    with PostgresServer(options=("fsync=off",)) as server:  # a killed server loses nothing of it; a power cut is not tried
        yield server


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[S3Server]:
    """One server for all tests of a worker."""
    with S3Server() as server:
        yield server
