"""The conformance suite of every alert channel.

Subclass it, override the fixtures ``channel`` and ``delivered``, and run it with pytest::

    class TestMine(AlertChannelSuite):
        @pytest.fixture
        def channel(self, inbox):
            return MyChannel(url=inbox.url)

        @pytest.fixture
        def delivered(self, inbox):
            return lambda: [message["key"] for message in inbox.messages]
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from mlops_core.records import Alert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlops_core.roles import AlertChannel

__all__ = ["AlertChannelSuite", "alert"]

_AT: Final = datetime(2024, 5, 1, 12, tzinfo=UTC)


def alert(number: int = 1, **fields: Any) -> Alert:
    """An alert that fires; its key is ``acme/tickets/production/errors/NUMBER/firing`` unless told otherwise."""
    given: dict[str, Any] = {
        "key": f"acme/tickets/production/errors/{number}/firing",
        "tenant": "acme",
        "rule": "errors",
        "model": "tickets",
        "environment": "production",
        "state": "firing",
        "at": _AT,
        "summary": f"tickets in production: errors firing: error_rate > 0.02 (measured: 0.0{number})",
        "value": number / 100,
        "labels": {"condition": "error_rate > 0.02"},
    }
    return Alert(**{**given, **fields})


class AlertChannelSuite:
    """The contract of ``mlops_core.roles.AlertChannel``."""

    @pytest.fixture
    def channel(self) -> AlertChannel:
        """A fresh channel."""
        raise NotImplementedError("override the fixture 'channel'")

    @pytest.fixture
    def delivered(self, channel: AlertChannel) -> Callable[[], Sequence[str]]:
        """What arrived so far: a function that answers the keys of the alerts, in order."""
        raise NotImplementedError("override the fixture 'delivered'")

    @pytest.fixture(autouse=True)
    def _closed(self, channel: AlertChannel) -> Iterator[None]:
        yield
        channel.close()

    def test_its_options_are_explained(self, channel: AlertChannel) -> None:
        """``mlops plugins show`` prints the help of each option."""
        kind: Any = type(channel)
        assert [one.name for one in attrs.fields(kind) if one.init and not one.metadata.get("help")] == []
        assert "contract" in vars(kind)

    def test_an_alert_arrives(self, channel: AlertChannel, delivered: Callable[[], Sequence[str]]) -> None:
        """When ``send`` returns."""
        channel.send(alert())
        assert list(delivered()) == [alert().key]

    def test_a_repeated_alert_arrives_once(self, channel: AlertChannel, delivered: Callable[[], Sequence[str]]) -> None:
        """A retry after a lost acknowledgement wakes nobody twice."""
        channel.send(alert())
        channel.send(alert())
        assert list(delivered()) == [alert().key]

    def test_transitions_and_incidents_are_told_apart(self, channel: AlertChannel, delivered: Callable[[], Sequence[str]]) -> None:
        """Firing, resolved, and the next incident of the same rule."""
        over = alert(key="acme/tickets/production/errors/1/resolved", state="resolved", value=None)
        for one in (alert(), over, alert(2)):
            channel.send(one)
        assert list(delivered()) == [alert().key, over.key, alert(2).key]

    def test_awkward_text_is_delivered(self, channel: AlertChannel, delivered: Callable[[], Sequence[str]]) -> None:
        """Braces, percent signs, quotes and other alphabets are text, not markup."""
        awkward = alert(summary="{0} %s <b>\"'` Δ 警报", labels={"note": "%(x)s {y}"}, value=None)
        channel.send(awkward)
        assert list(delivered()) == [awkward.key]

    def test_many_threads_send_at_once(self, channel: AlertChannel, delivered: Callable[[], Sequence[str]]) -> None:
        """Each alert arrives once."""
        threads = [threading.Thread(target=channel.send, args=(alert(number % 8),)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(delivered()) == sorted(alert(number).key for number in range(8))

    def test_closing_twice_is_allowed(self, channel: AlertChannel) -> None:
        """And before anything was sent."""
        channel.close()
        channel.send(alert())
        channel.close()
        channel.close()
