"""Processes told apart, and what they take."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from mlops_deployer_local.process import memory_of


def test_memory_is_that_of_all_and_of_those_that_live() -> None:
    mine = memory_of([os.getpid()])
    if sys.platform != "linux":
        assert mine == 0
        return
    assert 10_000_000 < mine < 10_000_000_000
    assert memory_of([os.getpid(), 2**22 + 1]) == pytest.approx(mine, rel=0.2)
    assert memory_of([]) == 0


def test_a_server_tells_its_memory_while_it_runs(rig: Any) -> None:
    rig.serve()
    assert ("memory" in rig.deployer.observe(rig.endpoint).detail) == (sys.platform == "linux")
    rig.deployer.shutdown()
    assert "memory" not in rig.deployer.observe(rig.endpoint).detail
