"""A sink that only writes says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import CapabilityError
from mlops_core.records import Segment, SeriesKey
from mlops_core.roles import MonitorSink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AT = datetime(2024, 5, 1, tzinfo=UTC)
SERIES = SeriesKey("t", "e", "m")


class WriteOnly(MonitorSink):
    contract = 1

    def write(self, segments: Sequence[Segment]) -> None:
        """Nothing is kept."""


@pytest.mark.parametrize(
    ("call", "capability"),
    [
        (lambda sink: sink.read(SERIES, AT, AT), "read"),
        (lambda sink: sink.series("t"), "read"),
        (lambda sink: sink.tenants(), "read"),
        (lambda sink: sink.replace(SERIES, AT, AT, timedelta(minutes=1), lambda segments: segments), "read"),
        (lambda sink: sink.log([]), "log"),
        (lambda sink: sink.read_log(SERIES, AT, AT), "log"),
        (lambda sink: sink.purge("t"), "log"),
        (lambda sink: sink.listen(), "listen"),
        (lambda sink: sink.rules([]), "write rules"),
    ],
)
def test_reading_and_logging_are_capabilities(call: Callable[[MonitorSink], Any], capability: str) -> None:
    with pytest.raises(CapabilityError, match=f"sink: WriteOnly cannot {capability} - name a sink that can first"):
        call(WriteOnly())
