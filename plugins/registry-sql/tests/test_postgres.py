from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.registry_suite import Opener, SharedRegistryStoreSuite
from mlops_registry_sql.postgres import PostgresRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlops_core.roles import RegistryStore
    from mlops_core.testing.servers import PostgresServer


class TestPostgres(SharedRegistryStoreSuite):
    @pytest.fixture
    def url(self, postgres: PostgresServer) -> str:
        return postgres.database()

    @pytest.fixture
    def store(self, url: str, tmp_path: Path) -> Iterator[RegistryStore]:
        store = PostgresRegistry(url, tmp_path / "artifacts")
        yield store
        store.close()

    @pytest.fixture
    def opener(self, url: str, tmp_path: Path) -> Opener:
        return partial(PostgresRegistry, url, tmp_path / "artifacts")
