"""Who is told to listen, and what becomes of one that cannot."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from mlops_core.monitoring.listening import listen
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


def test_those_that_can_are_told_and_one_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    first, last = Heard(), Heard()
    with caplog.at_level(logging.ERROR):
        listen({"first": first, "deaf": Deaf(), "memory": MemorySink(), "last": last})
    assert (first.times, last.times) == (1, 1)
    assert caplog.messages == ["sink deaf: does not listen: OSError: no such device"]
