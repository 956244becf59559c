"""The channel ``log`` passes the suite of alert channels."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from mlops_core.builtin.log_alert import LogAlert, mlops_alert_channel
from mlops_core.testing.alert_suite import AlertChannelSuite, alert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlops_core.roles import AlertChannel


class TestLogAlert(AlertChannelSuite):
    @pytest.fixture
    def channel(self) -> AlertChannel:
        return LogAlert()

    @pytest.fixture
    def delivered(self, caplog: pytest.LogCaptureFixture) -> Callable[[], Sequence[str]]:
        caplog.set_level(logging.INFO, logger="mlops_core.alerts")
        return lambda: [record.alert_key for record in caplog.records if hasattr(record, "alert_key")]


def test_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mlops_core.alerts")
    channel = LogAlert(level="critical")
    channel.send(alert(1))
    channel.send(alert(1, key="other", state="resolved"))
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "INFO"]
    assert caplog.records[0].getMessage().startswith("firing: tickets in production")


def test_the_memory_of_keys_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="mlops_core.alerts")
    channel = LogAlert()
    for number in range(10_010):
        channel.send(alert(key=str(number)))
    caplog.set_level(logging.INFO, logger="mlops_core.alerts")
    channel.send(alert(key="10009"))
    assert caplog.records == []
    channel.send(alert(key="0"))
    assert len(caplog.records) == 1


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_alert_channel() is LogAlert
