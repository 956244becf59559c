"""The sink in memory meets the contract that it is the reference of."""

import pytest

from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.sink_suite import MonitorSinkSuite


class TestMemorySink(MonitorSinkSuite):
    @pytest.fixture
    def sink(self) -> MemorySink:
        return MemorySink()
