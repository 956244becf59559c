"""A monitoring facade over one sink in memory, at a time that stands still."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_core.config.settings import AlertRule, MonitoringSettings, Settings, Use
from mlops_core.monitoring import ModelMonitoring
from mlops_core.records import Alert
from mlops_core.roles import AlertChannel, MonitorSink
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.stack import GivenParts, make_stack

MakeStack = Callable[..., Stack]


class Inbox(AlertChannel):
    """A channel that keeps what it is sent, and fails while ``broken`` is set; ``calls`` are the states of all attempts."""

    contract = 1

    def __init__(self) -> None:
        self.broken = False
        self.sent: list[Alert] = []
        self.calls: list[str] = []

    def send(self, alert: Alert) -> None:
        self.calls.append(alert.state)
        if self.broken:
            raise OSError("no route to host")
        if alert.key not in [earlier.key for earlier in self.sent]:
            self.sent.append(alert)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def make(tmp_path: Path, clock: FakeClock, sink: MemorySink, inbox: Inbox) -> MakeStack:
    """Make a stack with these rules and settings of ``monitoring``, over the same backends."""
    registry = MemoryRegistry(clock=clock)

    def made(*rules: AlertRule, sinks: dict[str, MonitorSink] | None = None, **fields: object) -> Stack:
        monitoring = MonitoringSettings(alerts=rules, **fields)  # type: ignore[arg-type]  # attrs checks the names
        settings = Settings(monitoring=monitoring, channels={"inbox": Use("inbox")})
        given: dict[str, MonitorSink] = {"memory": sink} if sinks is None else sinks
        return make_stack(tmp_path, clock=clock, registry=registry, sinks=given, channels={"inbox": inbox}, settings=settings)

    return made


@pytest.fixture
def stack(make: MakeStack) -> Stack:
    return make()


@pytest.fixture
def monitoring(stack: Stack) -> Iterator[ModelMonitoring]:
    with ModelMonitoring(stack=stack) as facade:
        yield facade


def events_of(stack: Stack) -> list[object]:
    """What was emitted."""
    assert isinstance(stack.parts, GivenParts)
    return list(stack.parts.events)
