"""Ports are protocols: what the core hands out fits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.clock import SystemClock
from mlops_core.testing.clock import FakeClock

if TYPE_CHECKING:
    from mlops_core.roles import Clock


def elapsed(clock: Clock) -> float:
    began = clock.monotonic()
    clock.sleep(0.01)
    return clock.monotonic() - began


def test_both_clocks_fit_the_port() -> None:
    assert elapsed(SystemClock()) >= 0.01
    assert elapsed(FakeClock()) == 0.01


def test_ports_are_public() -> None:
    from mlops_core.roles import ports

    assert {"Clock", "DeployContext", "Predictor", "Recorder", "ServingHost", "StageContext"} <= set(ports.__all__)
