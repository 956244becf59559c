"""One S3 server for all tests of the plugin, and a bucket for each."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.servers import S3Server
from mlops_registry_s3.registry import S3Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture(scope="session")
def bucket(server: S3Server) -> str:
    return server.bucket()


@pytest.fixture
def opener(server: S3Server, bucket: str) -> Callable[..., S3Registry]:
    """Opens the test's own store once more; options can be given."""
    prefix = f"tests/{uuid.uuid4().hex}"
    return partial(S3Registry, bucket, prefix, server.url, server.region, server.access_key, server.secret_key)


@pytest.fixture
def store(opener: Callable[..., S3Registry]) -> Iterator[S3Registry]:
    store = opener()
    yield store
    store.close()
