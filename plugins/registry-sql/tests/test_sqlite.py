from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.registry_suite import Opener, SharedRegistryStoreSuite
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlops_core.roles import RegistryStore


class TestSqlite(SharedRegistryStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[RegistryStore]:
        store = SqliteRegistry(tmp_path / "registry.db")
        yield store
        store.close()

    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return partial(SqliteRegistry, tmp_path / "registry.db")
