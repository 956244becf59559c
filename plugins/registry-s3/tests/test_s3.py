from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from mlops_core.testing.registry_suite import SharedRegistryStoreSuite
from mlops_registry_s3.registry import S3Registry

if TYPE_CHECKING:
    from mlops_core.records import Leftover
    from mlops_core.roles import RegistryStore
    from mlops_core.testing.registry_suite import Opener

SETTLE = 0.2


class TestS3(SharedRegistryStoreSuite):
    @pytest.fixture
    def opener(self, opener: Opener) -> Opener:
        return opener

    @pytest.fixture
    def store(self, store: RegistryStore) -> RegistryStore:
        return store

    def pass_time(self, store: RegistryStore, seconds: float) -> None:
        """The server tells whole seconds, of what it keeps and of the time itself."""
        time.sleep(seconds + 3)

    def remove(self, store: RegistryStore, leftover: Leftover) -> bool:
        """Marked first, and removed once every writer must have ended. The clock of a new client is up to a second behind another's."""
        assert isinstance(store, S3Registry)
        time.sleep(1)
        with closing(evolve(store, settle=SETTLE)) as sweeper:
            assert not sweeper.discard(leftover)
            assert not sweeper.discard(leftover)
            self.pass_time(store, SETTLE)
            return sweeper.discard(leftover)
