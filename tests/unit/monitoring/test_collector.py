"""Recorders to spool to sinks: nothing lost on the way, whatever fails."""

import gc
import logging
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring import collector as collecting
from mlops_core.monitoring.collector import Collector
from mlops_core.records import Segment, SeriesKey, Window
from mlops_core.records.threshold import SHADOW_DROPPED
from mlops_core.roles import MonitorSink
from mlops_core.spool import Spool
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.sink_suite import segment

SERIES = SeriesKey("acme", "production", "tickets", "1.0.0")
LONG_AGO, FAR_AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
SOON = 30.0


class Away(MemorySink):
    """A sink that takes nothing."""

    contract = 1

    def write(self, segments: Sequence[Segment]) -> None:
        raise MonitoringError("sink: away")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def start(folder: Path, clock: FakeClock) -> Iterator[Callable[..., Collector]]:
    """Make a collector over these sinks; it is closed at the end."""
    made: list[Collector] = []

    def start(**sinks: MonitorSink) -> Collector:
        made.append(Collector(folder, sinks, clock))
        return made[-1]

    yield start
    for one in made:
        one.close(SOON)


def segments_of(sink: MonitorSink) -> list[Segment]:
    return list(sink.read(SERIES, LONG_AGO, FAR_AHEAD))


def total(sink: MonitorSink) -> int:
    return Window.merge(segments_of(sink)).total


def test_nothing_runs_before_the_first_prediction(start: Callable[..., Collector], folder: Path, sink: MemorySink) -> None:
    before = set(threading.enumerate())
    collector = start(memory=sink)
    collector.recorder(SERIES, 0)
    collector.flush(SOON)
    assert collector.drain() == 0
    assert (set(threading.enumerate()) - before, folder.exists()) == (set(), False)


def test_a_series_and_revision_have_one_recorder(start: Callable[..., Collector], sink: MemorySink) -> None:
    collector = start(memory=sink)
    assert collector.recorder(SERIES, 1) is collector.recorder(SERIES, 1)
    assert collector.recorder(SERIES, 1) is not collector.recorder(SERIES, 2)


def test_what_is_counted_reaches_every_sink(start: Callable[..., Collector], sink: MemorySink, clock: FakeClock) -> None:
    other = MemorySink()
    collector = start(memory=sink, other=other)
    began = clock.now()
    collector.recorder(SERIES, 3).count(0.5, success=True)
    collector.recorder(SERIES, 3).count(0.5, success=False, error="Timeout")
    clock.advance(2)
    collector.flush(SOON)
    (found,) = segments_of(sink)
    assert (found.total, found.errors, found.revision, found.errors_by_type) == (2, 1, 3, {"Timeout": 1})
    assert (found.start, found.end, found.sequence) == (began, began + timedelta(seconds=2), 1)
    assert segments_of(other) == [found]


def test_copies_that_a_shadow_dropped_reach_the_sink_also_without_a_prediction(start: Callable[..., Collector], sink: MemorySink) -> None:
    collector = start(memory=sink)
    collector.recorder(SERIES, 3, shadow=True).drop()
    collector.flush(SOON)
    (found,) = segments_of(sink)
    assert (found.total, found.values[SHADOW_DROPPED].sum) == (0, 1)


def test_every_segment_of_a_shadow_says_so(start: Callable[..., Collector], sink: MemorySink) -> None:
    collector = start(memory=sink)
    collector.recorder(SERIES, 3, shadow=True).count(0.5, success=True)
    collector.recorder(SERIES, 4).count(0.5, success=True)
    collector.flush(SOON)
    assert {one.revision: [value.sum for value in one.values.values()] for one in segments_of(sink)} == {3: [0], 4: []}


def test_the_flusher_needs_no_one_to_ask(start: Callable[..., Collector], sink: MemorySink) -> None:
    start(memory=sink).recorder(SERIES, 0).count(0.5, success=True)
    deadline = time.monotonic() + SOON
    while not segments_of(sink) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert total(sink) == 1


def test_a_clock_that_is_set_back_neither_loses_nor_turns_time_round(
    start: Callable[..., Collector], sink: MemorySink, clock: FakeClock
) -> None:
    collector = start(memory=sink)
    record = collector.recorder(SERIES, 0)
    record.count(0.5, success=True)
    collector.flush(SOON)
    record.count(0.5, success=True)
    clock.advance(10)
    clock.at -= timedelta(hours=1)
    record.count(0.5, success=True)
    collector.flush(SOON)
    found = segments_of(sink)
    assert sum(one.total for one in found) == 3
    assert all(timedelta(0) < one.end - one.start <= timedelta(seconds=10) for one in found)


def test_a_sink_that_is_away_delays_no_other(start: Callable[..., Collector], sink: MemorySink) -> None:
    collector = start(memory=sink, away=Away())
    collector.recorder(SERIES, 0).count(0.5, success=True)
    collector.flush(SOON, ["memory"])
    assert total(sink) == 1
    with pytest.raises(MonitoringError, match=r"sink away: segments wait in the spool: MonitoringError: sink: away"):
        collector.flush(SOON)


def test_what_a_sink_did_not_take_is_there_for_the_next_process(start: Callable[..., Collector], folder: Path, sink: MemorySink) -> None:
    first = start(memory=Away(), other=MemorySink())
    record = first.recorder(SERIES, 0)
    for _ in range(3):
        record.count(0.5, success=True)
        first.tick()
    first.close(SOON)
    assert len(list(folder.glob("*.spool"))) == 1
    second = start(memory=sink)
    assert second.drain() == 3
    assert second.drain() == 0
    assert (total(sink), list(folder.iterdir())) == (3, [])


def test_a_spool_stays_until_every_sink_has_it(start: Callable[..., Collector], folder: Path, sink: MemorySink) -> None:
    left = Spool.open(folder, "dead")
    left.append(segment(series=SERIES).to_dict())
    left.close()
    assert start(memory=sink, away=Away()).drain() == 1
    assert start(memory=sink, away=Away()).drain() == 0
    assert (folder / "dead.spool").exists()


def test_closing_leaves_nothing_behind(start: Callable[..., Collector], folder: Path, sink: MemorySink) -> None:
    before = set(threading.enumerate())
    collector = start(memory=sink)
    record = collector.recorder(SERIES, 0)
    record.count(0.5, success=True)
    collector.close(SOON)
    collector.close(SOON)
    assert (total(sink), list(folder.iterdir()), set(threading.enumerate()) - before) == (1, [], set())
    with pytest.raises(MonitoringError, match="it is closed"):
        record.count(0.5, success=True)


def test_a_full_disk_costs_no_count(
    start: Callable[..., Collector], sink: MemorySink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(collecting, "_MOST_PENDING", 3)
    collector = start(memory=sink)
    record = collector.recorder(SERIES, 0)

    def full(*_: object) -> None:
        raise MonitoringError("spool: No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Spool, "append", full)
        for _ in range(8):
            record.count(0.5, success=True)
            collector.tick()
        with pytest.raises(MonitoringError, match="predictions wait in memory: spool: No space left"):
            collector.sync()
    collector.flush(SOON)
    assert (total(sink), len(segments_of(sink)) < 8) == (8, True)
    assert [record.message for record in caplog.records] == ["monitoring: predictions wait in memory: spool: No space left on device"]


def test_what_could_not_be_written_in_the_end_is_said(
    start: Callable[..., Collector], sink: MemorySink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    collector = start(memory=sink)
    record = collector.recorder(SERIES, 0)
    record.count(0.5, success=True)
    collector.flush(SOON)

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Spool, "append", full)
    record.count(0.5, success=True)
    collector.close(SOON)
    assert "1 predictions could not be written and are lost: disk full" in caplog.text


def test_a_pass_that_fails_does_not_end_the_flusher(
    start: Callable[..., Collector], sink: MemorySink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logged = threading.Event()

    def fail(_: Collector) -> None:
        raise ArithmeticError("a bug")

    def seen(record: logging.LogRecord) -> bool:
        if "a pass of the flusher failed" in record.getMessage():
            logged.set()
        return True

    caplog.handler.addFilter(seen)
    collector = start(memory=sink)
    with monkeypatch.context() as broken:
        broken.setattr(Collector, "tick", fail)
        collector.recorder(SERIES, 0).count(0.5, success=True)
        assert logged.wait(SOON)
    caplog.handler.removeFilter(seen)
    collector.flush(SOON)
    assert total(sink) == 1


def test_a_long_spool_is_succeeded_and_erased(
    start: Callable[..., Collector], folder: Path, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "_SPOOL_RECORDS", 2)
    collector = start(memory=sink)
    record = collector.recorder(SERIES, 0)
    for _ in range(7):
        record.count(0.5, success=True)
        collector.flush(SOON)
    assert (total(sink), len(list(folder.glob("*.spool")))) == (7, 1)
    assert sorted(one.sequence for one in segments_of(sink)) == [1, 1, 1, 1, 2, 2, 2]


def test_recorded_values_are_in_the_spool_at_once(start: Callable[..., Collector], folder: Path, sink: MemorySink) -> None:
    collector = start(memory=sink)
    collector.record_values(SERIES, {"drift.p_value": 0.25})
    (path,) = folder.glob("*.spool")
    assert "drift.p_value" in path.read_text()
    collector.flush(SOON)
    assert Window.merge(segments_of(sink)).metric("drift.p_value") == 0.25


def test_a_forked_child_counts_for_itself(tmp_path: Path) -> None:
    """In a process of its own, since a test runner is not to be forked."""
    program = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from mlops_core.clock import SystemClock
from mlops_core.monitoring.collector import Collector
from mlops_core.records import SeriesKey
from mlops_core.testing.memory_sink import MemorySink

series, sink = SeriesKey("acme", "production", "tickets"), MemorySink()
collector = Collector(Path(sys.argv[1]), {"memory": sink}, SystemClock())
record = collector.recorder(series, 0)
record.count(0.5, success=True)
collector.flush(30.0)
record.count(0.5, success=True)
child = os.fork()
record.count(0.5, success=True)
collector.flush(30.0)
found = list(sink.read(series, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)))
if child == 0:
    newest = found[-1].writer
    print(len({one.writer for one in found}), sum(one.total for one in found if one.writer == newest), flush=True)
    collector.close(30.0)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(len({one.writer for one in found}), sum(one.total for one in found))
collector.close(30.0)
print(*os.listdir(sys.argv[1]))
"""
    answer = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == ["2 1", "1 3", ""]


def test_hooks_of_a_fork_keep_nothing_alive(folder: Path, clock: FakeClock, sink: MemorySink) -> None:
    collector = Collector(folder, {"memory": sink}, clock)
    collector.recorder(SERIES, 0).count(0.5, success=True)
    collector.close(SOON)
    alive = weakref.ref(collector)
    del collector
    gc.collect()
    assert alive() is None
