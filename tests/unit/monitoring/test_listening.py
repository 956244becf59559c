"""Who is told to listen, and what becomes of one that cannot."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from mlops_core.monitoring.listening import listen
from mlops_core.roles import MonitorSink
from mlops_core.testing.memory_sink import MemorySink

if TYPE_CHECKING:
    import pytest


class Heard(MemorySink):
    contract = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"listen"})
    times = 0

    def listen(self) -> None:
        self.times += 1


class Deaf(Heard):
    contract = 1

    def listen(self) -> None:
        raise OSError("no such device")


class Composed(dict[str, MonitorSink]):
    """Sinks that are built when they are asked for, as those of a stack are."""

    def __getitem__(self, name: str) -> MonitorSink:
        if name == "broken":
            raise ImportError("no module")
        return super().__getitem__(name)


def test_those_that_can_are_told_and_one_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    first, last = Heard(), Heard()
    sinks = {"first": first, "deaf": Deaf(), "memory": MemorySink(), "broken": MemorySink(), "last": last}
    with caplog.at_level(logging.ERROR):
        listen(Composed(sinks))
    assert (first.times, last.times) == (1, 1)
    assert caplog.messages == [
        "sink deaf: does not listen: OSError: no such device",
        "sink broken: does not listen: ImportError: no module",
    ]
