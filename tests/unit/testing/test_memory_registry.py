from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_suite import RegistryStoreSuite

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore


class TestMemoryRegistry(RegistryStoreSuite):
    @pytest.fixture
    def store(self) -> RegistryStore:
        return MemoryRegistry(clock=FakeClock())

    def pass_time(self, store: RegistryStore, seconds: float) -> None:
        assert isinstance(store, MemoryRegistry)
        assert isinstance(store.clock, FakeClock)
        store.clock.advance(seconds)


def test_it_says_that_no_other_process_can_open_it() -> None:
    assert "in-process" in MemoryRegistry.capabilities
