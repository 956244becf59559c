"""Which sink answers windows, and what it says when it cannot."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.reading import Reader, check_window
from mlops_core.records import SeriesKey, ValueSum
from mlops_core.records.threshold import SHADOW_DROPPED
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.sink_suite import segment

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class WriteOnly(MemorySink):
    contract = 1
    capabilities = frozenset()


class Broken(MemorySink):
    contract = 1

    def series(self, tenant: str, model: str | None = None) -> Iterator[SeriesKey]:
        raise OSError("the file is gone")


def test_the_first_sink_that_reads_answers() -> None:
    readable = MemorySink()
    assert Reader.among({"blind": WriteOnly(), "memory": readable, "other": MemorySink()}) == Reader("memory", readable)


@pytest.mark.parametrize(("sinks", "known"), [({}, "none"), ({"blind": WriteOnly()}, "blind")])
def test_none_that_reads_is_one_line(sinks: dict[str, MemorySink], known: str) -> None:
    with pytest.raises(MonitoringError, match=rf"none can be read \(there are: {known}\) - add one that can, such as sqlite"):
        Reader.among(sinks)


def test_series_are_chosen_by_what_was_asked() -> None:
    keys = [SeriesKey("acme", environment, "m", version) for environment in ("a", "b") for version in ("1", "2")]
    sink = MemorySink()
    sink.write([segment(number, series=key) for number, key in enumerate(keys, start=1)])
    reader = Reader("memory", sink)
    assert reader.series("acme", "m") == keys
    assert reader.series("acme", "m", "a") == keys[:2]
    assert reader.series("acme", "m", None, "2") == keys[1::2]
    assert reader.series("acme", "other") == []
    window = reader.window(keys[:3], AT, AT + HOUR)
    assert (window.total, window.end) == (3, AT + HOUR)


def test_what_a_shadow_did_counts_where_its_version_is_asked_for_only() -> None:
    sink = MemorySink()
    copies = evolve(segment(1), revision=3, values={SHADOW_DROPPED: ValueSum(1, 0, 0)})
    sink.write([copies, segment(2)])
    told = {shadows: Reader("memory", sink, shadows=shadows) for shadows in (False, True)}
    keys = [copies.series]

    assert {shadows: reader.window(keys, AT, AT + HOUR).total for shadows, reader in told.items()} == {False: 1, True: 2}
    assert {shadows: len(reader.segments(keys, AT, AT + HOUR)) for shadows, reader in told.items()} == {False: 1, True: 2}


def test_what_a_sink_raises_is_chained() -> None:
    with pytest.raises(MonitoringError, match="sink memory: cannot be read: the file is gone") as caught:
        Reader("memory", Broken()).series("acme")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_sinks_own_refusal_is_passed_on() -> None:
    class Refusing(MemorySink):
        contract = 1

        def series(self, tenant: str, model: str | None = None) -> Iterator[SeriesKey]:
            raise MonitoringError("sink.x: newer schema")

    with pytest.raises(MonitoringError, match=r"^sink\.x: newer schema$"):
        Reader("memory", Refusing()).series("acme")


@pytest.mark.parametrize("window", [timedelta(0), timedelta(seconds=-1), 60, None, "1h"])
def test_what_is_no_window_is_refused(window: Any) -> None:
    with pytest.raises(MonitoringError, match=r"^time_window: .* - give "):
        check_window(window)
