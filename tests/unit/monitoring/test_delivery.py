"""From the spool to a sink: in order, once, through outages, bounded."""

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.delivery import Delivery, deliver
from mlops_core.records import Segment
from mlops_core.spool import Spool
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.sink_suite import segment

SOON = 30.0


class Guarded(MemorySink):
    """A sink that is away until it is opened, and says how often it was asked."""

    contract = 1

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.away = threading.Event()

    def write(self, segments: Sequence[Segment]) -> None:
        self.asked.release()
        if self.away.is_set():
            raise MonitoringError("sink: away")
        super().write(segments)

    def kept(self) -> list[int]:
        one = segment()
        return [found.sequence for found in self.read(one.series, one.start, one.end)]


@pytest.fixture
def sink() -> Guarded:
    return Guarded()


@pytest.fixture
def released() -> list[Spool]:
    return []


@pytest.fixture
def delivery(sink: Guarded, released: list[Spool]) -> Iterator[Delivery]:
    made = Delivery("memory", sink, released.append)
    yield made
    made.stop(SOON)


def spooled(folder: Path, name: str, count: int) -> Spool:
    spool = Spool.open(folder, name)
    for _ in range(count):
        spool.append(segment().to_dict())
    return spool


def test_segments_carry_the_spools_writer_and_number(tmp_path: Path, delivery: Delivery, sink: Guarded) -> None:
    spool = spooled(tmp_path, "a", 3)
    delivery.follow(spool)
    delivery.start()
    delivery.announce(3)
    assert delivery.wait(SOON)
    one = segment()
    found = list(sink.read(one.series, one.start, one.end))
    assert [(each.writer, each.sequence) for each in found] == [(spool.writer, 1), (spool.writer, 2), (spool.writer, 3)]
    assert spool.mark("memory").done == 3
    spool.close()


def test_what_nobody_waits_for_is_gathered(tmp_path: Path, delivery: Delivery, sink: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_core.monitoring.delivery._GATHER", 3600.0)
    spool = spooled(tmp_path, "a", 1)
    delivery.start()
    delivery.follow(spool)
    delivery.announce(1)
    assert sink.asked.acquire(timeout=SOON), "the first goes at once"
    for number in range(2, 6):
        spool.append(segment().to_dict())
        delivery.announce(number)
    assert not sink.asked.acquire(timeout=0.2)
    assert delivery.wait(SOON)
    assert sink.asked.acquire(timeout=0)
    assert not sink.asked.acquire(timeout=0), "all that had gathered went together"
    assert sink.kept() == [1, 2, 3, 4, 5]
    spool.close()


def test_an_outage_is_waited_out(tmp_path: Path, delivery: Delivery, sink: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sink.away.set()
    spool = spooled(tmp_path, "a", 2)
    delivery.follow(spool)
    delivery.start()
    delivery.announce(2)
    assert not delivery.wait(SOON)
    assert delivery.failing == "MonitoringError: sink: away"
    sink.away.clear()
    assert delivery.wait(SOON)
    delivery.stop(SOON)
    assert (sink.kept(), delivery.failing) == ([1, 2], "")
    said = [record.message for record in caplog.records]
    assert said == ["sink memory: segments wait in the spool: MonitoringError: sink: away", "sink memory: answers again"]
    spool.close()


def test_spools_follow_one_another(tmp_path: Path, delivery: Delivery, sink: Guarded, released: list[Spool]) -> None:
    first, second = spooled(tmp_path, "a", 2), spooled(tmp_path, "b", 1)
    delivery.follow(first)
    delivery.follow(second)
    delivery.start()
    delivery.announce(3)
    assert delivery.wait(SOON)
    assert (sorted(sink.kept()), released) == ([1, 1, 2], [first])
    first.close()
    second.close()


def test_a_sink_that_is_away_too_long_loses_the_oldest(
    tmp_path: Path, delivery: Delivery, sink: Guarded, released: list[Spool], caplog: pytest.LogCaptureFixture
) -> None:
    spools = [spooled(tmp_path, f"s{number}", 2) for number in range(10)]
    for spool in spools:
        delivery.follow(spool)
    delivery.start()
    delivery.announce(20)
    assert delivery.wait(SOON)
    assert (len(sink.kept()), delivery.dropped, released) == (16, 4, spools[:9])
    assert "2 segments were given up (4 so far)" in caplog.text
    for spool in spools:
        spool.close()


def test_a_spool_that_was_cut_is_said_and_not_looped_over(tmp_path: Path, delivery: Delivery) -> None:
    spool = spooled(tmp_path, "a", 1)
    spool.path.write_bytes(b"")
    delivery.follow(spool)
    delivery.start()
    delivery.announce(1)
    assert not delivery.wait(SOON)
    assert "cannot be read beyond segment 0" in delivery.failing
    spool.close()


def test_a_sink_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    going_on = threading.Event()

    class Hanging(MemorySink):
        contract = 1

        def write(self, segments: Sequence[Segment]) -> None:
            going_on.wait(SOON)

    delivery = Delivery("slow", Hanging(), lambda _: None)
    spool = spooled(tmp_path, "a", 1)
    delivery.follow(spool)
    delivery.start()
    delivery.announce(1)
    assert not delivery.wait(0.01)
    delivery.stop(0.0)
    going_on.set()
    delivery.stop(SOON)
    spool.close()


def test_what_a_dead_process_left_is_delivered_from_its_mark(tmp_path: Path, sink: Guarded) -> None:
    spool = spooled(tmp_path, "a", 3)
    assert deliver(spool, "memory", sink) == 3
    spool.append(segment().to_dict())
    assert deliver(spool, "memory", sink) == 1
    assert deliver(spool, "memory", sink) == 0
    assert deliver(spool, "other", sink) == 4
    assert sink.kept() == [1, 2, 3, 4]
    spool.close()


class Narrow(MemorySink):
    """A sink that cannot keep some texts, or some numbers."""

    contract = 1
    writes = 0

    def write(self, segments: Sequence[Segment]) -> None:
        self.writes += 1
        for one in segments:
            if one.latency_sum > 100:
                raise OverflowError("too large")
            if "odd" in one.errors_by_type:
                raise ValueError("not in my character set")
        super().write(segments)


def test_a_segment_that_is_refused_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink, spool = Narrow(), Spool.open(tmp_path, "a")
    for number in range(40):
        kept = {7: {"errors": 1, "errors_by_type": {"odd": 1}}, 20: {"latency_sum": 1e9}}.get(number, {})
        spool.append(segment(**kept).to_dict())  # type: ignore[arg-type]  # fields of a segment
    assert deliver(spool, "narrow", sink) == 40
    assert spool.mark("narrow").done == 40
    spool.close()

    one = segment()
    found = {each.sequence: each for each in sink.read(one.series, one.start, one.end)}
    assert sorted(found) == [number for number in range(1, 41) if number != 21]
    assert (found[8].total, found[8].errors, found[8].errors_by_type) == (1, 1, {})
    assert sink.writes < 40
    assert "sink narrow: segment 8 of tickets (1 predictions) is refused, only its counts are kept: ValueError: not in my" in caplog.text
    assert "sink narrow: segment 21 of tickets (1 predictions) is refused and given up: OverflowError: too large" in caplog.text


def test_a_refusal_is_no_outage(tmp_path: Path) -> None:
    sink = Narrow()
    delivery = Delivery("narrow", sink, lambda _: None)
    spool = Spool.open(tmp_path, "a")
    spool.append(segment(latency_sum=1e9).to_dict())
    spool.append(segment().to_dict())
    delivery.follow(spool)
    delivery.start()
    delivery.announce(2)
    assert delivery.wait(SOON)
    assert delivery.failing == ""
    delivery.stop(SOON)
    spool.close()
    one = segment()
    assert [each.sequence for each in sink.read(one.series, one.start, one.end)] == [2]
