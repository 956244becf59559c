import logging
from collections.abc import Callable, Iterator, Sequence

import pytest

from mlops_core.builtin.log_alert import LogAlert, mlops_alert_channel
from mlops_core.testing.alert_suite import AlertChannelSuite, alert


class Kept(logging.Handler):
    """Keeps what it is told; another logger's settings do not matter to it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    logger, handler = logging.getLogger("mlops_core.alerts"), Kept()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


class TestLogAlert(AlertChannelSuite):
    @pytest.fixture
    def channel(self) -> LogAlert:
        return LogAlert()

    @pytest.fixture
    def delivered(self, kept: Kept) -> Callable[[], Sequence[str]]:
        return lambda: [record.__dict__["alert_key"] for record in kept.records]


def test_the_log_says_what_happened_and_where(kept: Kept) -> None:
    LogAlert(level="error").send(alert())
    (record,) = kept.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"firing: {alert().summary}"
    fields = record.__dict__
    assert (fields["tenant"], fields["model"], fields["rule"], fields["environment"]) == ("acme", "tickets", "errors", "production")


def test_the_end_of_an_incident_is_no_alarm(kept: Kept) -> None:
    LogAlert(level="critical").send(alert(key="over", state="resolved"))
    assert kept.records[0].levelno == logging.INFO


def test_keys_are_remembered_up_to_a_limit(kept: Kept) -> None:
    channel = LogAlert()
    for number in range(10_001):
        channel.send(alert(key=f"key-{number}"))
    channel.send(alert(key="key-10000"))
    assert len(kept.records) == 10_001
    channel.send(alert(key="key-0"))
    assert len(kept.records) == 10_002


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_alert_channel() is LogAlert
