"""The conformance suite of every monitor sink.

Subclass it, override the fixture ``sink``, and run it with pytest. Of a capability that the sink does not declare it expects the refusal::

    class TestMine(MonitorSinkSuite):
        @pytest.fixture
        def sink(self, tmp_path):
            return MySink(path=tmp_path / "monitoring.db")
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from mlops_core.exceptions import CapabilityError
from mlops_core.records import (
    METRICS,
    BurnSpec,
    BurnTier,
    Quality,
    RuleSpec,
    Segment,
    SeriesKey,
    Threshold,
    ValueSum,
    Window,
    merge_segments,
)
from mlops_core.testing.sink_log_suite import PredictionLogSuite, segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.roles import MonitorSink

__all__ = ["MonitorSinkSuite", "segment"]

_AT: Final = datetime(2024, 5, 1, 12, tzinfo=UTC)
_SERIES: Final = SeriesKey("acme", "production", "tickets", "1.0.0")
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


def _total(sink: MonitorSink, series: SeriesKey = _SERIES, start: datetime = _AT, end: datetime = _AT + _HOUR) -> int:
    return Window.merge(sink.read(series, start, end)).total


def _rules() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for metric in (*METRICS, "drift.ks.p_value"):
        for no_data in ("ok", "alert", "keep"):
            yield metric, no_data, {}
            clear = Threshold.parse(f"{metric} < 0.25")
            yield metric, no_data, {"clear": clear, "hold_for": _MINUTE, "keep": _MINUTE, "model": "tickets", "environment": "production"}


class MonitorSinkSuite(PredictionLogSuite):
    """The contract of ``mlops_core.roles.MonitorSink``."""

    @pytest.fixture
    def sink(self) -> MonitorSink:
        """A fresh sink."""
        raise NotImplementedError("override the fixture 'sink'")

    @pytest.fixture(autouse=True)
    def _closed(self, sink: MonitorSink) -> Iterator[None]:
        yield
        sink.close()

    @pytest.fixture
    def reading(self, sink: MonitorSink) -> MonitorSink:
        """The sink, of a kind that can be read."""
        if "read" not in sink.capabilities:
            with pytest.raises(CapabilityError, match="cannot read"):
                list(sink.read(_SERIES, _AT, _AT + _HOUR))
            pytest.xfail("this sink declares that it cannot be read")
        return sink

    @pytest.fixture
    def listening(self, sink: MonitorSink) -> MonitorSink:
        """The sink, of a kind that listens; give it a free port."""
        if "listen" not in sink.capabilities:
            with pytest.raises(CapabilityError, match="cannot listen"):
                sink.listen()
            pytest.xfail("this sink declares that it does not listen")
        return sink

    def test_its_options_are_explained(self, sink: MonitorSink) -> None:
        """``mlops plugins show`` prints the help of each option."""
        kind: Any = type(sink)
        assert [one.name for one in attrs.fields(kind) if one.init and not one.metadata.get("help")] == []
        assert "contract" in vars(kind)

    def test_writing_nothing_is_allowed(self, sink: MonitorSink) -> None:
        """As is closing twice."""
        sink.write([])
        sink.close()

    def test_what_is_written_is_read_back_as_it_was(self, reading: MonitorSink) -> None:
        """Every field."""
        value = ValueSum(2, 0.5, 0.125, _AT)
        full = segment(
            revision=3,
            total=5,
            errors=2,
            repeated_errors=1,
            errors_by_type={"Timeout": 2},
            values={"drift.p_value": value},
            sample=({"prediction_id": "p", "x": 1.5},),
            failures=({"prediction_id": "q", "error": "Timeout"},),
            quality=Quality(3, 2, {"1": {"1": 2, "0": 1}}, "1", {-40: 2}, {50: 1}, 2, 0.75, 0.3125, 0.0625),
        )
        reading.write([full])
        assert list(reading.read(_SERIES, _AT, _AT + _HOUR)) == [full]

    def test_text_that_utf_8_cannot_hold_costs_no_count(self, reading: MonitorSink) -> None:
        """Undecodable bytes of a file name, or a NUL, come in as text; what is made of them is the sink's choice."""
        odd = "caf\udce9 \x00"
        value = ValueSum(1, 0.5, 0.5, _AT)
        reading.write([segment(1, errors=1, errors_by_type={odd: 1}, values={"live.f1": value}, sample=({odd: odd},)), segment(2)])
        assert _total(reading) == 2
        assert Window.merge(reading.read(_SERIES, _AT, _AT + _HOUR)).values == {"live.f1": value}

    def test_a_window_is_half_open_and_takes_what_overlaps_it(self, reading: MonitorSink) -> None:
        """Oldest first."""
        kept = [segment(number, second) for number, second in enumerate((59, 0, 30, 60), start=1)]
        reading.write(kept)
        found = list(reading.read(_SERIES, _AT + timedelta(seconds=0.5), _AT + _MINUTE))
        assert [one.sequence for one in found] == [2, 3, 1]
        assert list(reading.read(_SERIES, _AT + timedelta(seconds=61), _AT + _HOUR)) == []

    def test_a_second_copy_is_dropped(self, reading: MonitorSink) -> None:
        """Each (writer, sequence) counts once, within a call and over calls."""
        one, two = segment(1), segment(2)
        reading.write([one, one, two])
        reading.write([two, one, segment(3)])
        reading.write([segment(1, writer="w2")])
        assert _total(reading) == 4

    def test_an_empty_segment_makes_no_series(self, reading: MonitorSink) -> None:
        """It only moves its writer's mark on: rows of the log came with it."""
        empty: dict[str, Any] = {"total": 0, "latency_sum": 0.0, "histogram": {}}
        reading.write([segment(1, **empty), segment(2, writer="w2", **empty)])
        assert list(reading.series("acme")) == []
        reading.write([segment(1), segment(2)])
        assert _total(reading) == 1

    def test_order_does_not_matter_and_gaps_are_remembered(self, reading: MonitorSink) -> None:
        """A late segment is still counted, once."""
        for sequence in (3, 1, 5, 3, 5, 2, 2, 4, 4, 1):
            reading.write([segment(sequence)])
        reading.write([segment(sequence) for sequence in (6, 5, 1)])
        assert _total(reading) == 6

    def test_a_retry_after_retention_does_not_count_again(self, reading: MonitorSink) -> None:
        """The mark of a writer outlives its segments."""
        reading.write([segment(1), segment(2), segment(4)])
        assert reading.replace(_SERIES, _AT, _AT + _HOUR, _MINUTE, lambda _: ()) == 3
        reading.write([segment(1), segment(2), segment(4)])
        assert _total(reading) == 0
        assert list(reading.series("acme")) == []
        assert list(reading.tenants()) == []

    def test_replacing_merges_what_lies_within(self, reading: MonitorSink) -> None:
        """In one step, at a level; what sticks out stays as it is."""
        reading.write([segment(1, 10), segment(2, 20, errors=1), segment(3, 59.5), segment(4, 70)])
        assert reading.replace(_SERIES, _AT, _AT + _MINUTE, _MINUTE, merge_segments) == 2
        assert _total(reading) == 4
        (merged,) = reading.read(_SERIES, _AT, _AT + _HOUR, level=_MINUTE)
        assert (merged.total, merged.errors, merged.start) == (2, 1, _AT + timedelta(seconds=10))
        assert len(list(reading.read(_SERIES, _AT, _AT + _HOUR, level=timedelta(0)))) == 2

    def test_a_merged_window_is_the_same(self, reading: MonitorSink) -> None:
        """Wherever its bounds lie, before and after a roll-up, and with what comes late."""

        def same(first: float, last: float) -> None:
            start, end = _AT + timedelta(seconds=first), _AT + timedelta(seconds=last)
            plain, merged = (Window.merge(reading.read(_SERIES, start, end, merged=one)) for one in (False, True))
            assert merged.latency_sum == pytest.approx(plain.latency_sum)
            assert attrs.evolve(merged, latency_sum=0) == attrs.evolve(plain, latency_sum=0)

        fields: dict[str, Any] = {
            "errors": 1,
            "errors_by_type": {"Timeout": 1},
            "revision": 2,
            "values": {"live.f1": ValueSum(1, 0.5, 0.5, _AT)},
        }
        reading.write([segment(number, number, **(fields if number % 9 == 0 else {})) for number in range(1, 300)])
        for end in (0, 60, 120, 290, 400):
            if end:
                reading.replace(_SERIES, _AT, _AT + timedelta(seconds=end), _MINUTE, merge_segments)
                reading.write([segment(1000 + end, end / 2, quality=Quality(labelled=2, correct=1))])
            for first, last in ((0, 400), (60, 120), (59.5, 240), (0.5, 61), (30, 31), (299.9, 300), (-9, 0)):
                same(first, last)

    def test_a_merged_read_tells_which_revision_a_figure_is_of(self, reading: MonitorSink) -> None:
        """So that what belongs to a marked revision can be left out of a window, its counts with it."""
        mark = {"custom.mark": ValueSum(1, 0, 0, _AT)}
        reading.write([segment(1), segment(2, revision=2, values=mark), segment(3, revision=2, values=mark), segment(4)])
        found = list(reading.read(_SERIES, _AT, _AT + _MINUTE, merged=True))
        marked = {one.revision for one in found if "custom.mark" in one.values}
        assert marked == {2}
        each = segment(1).total
        assert sum(one.total for one in found if one.revision in marked) == 2 * each
        assert sum(one.total for one in found if one.revision not in marked) == 2 * each

    def test_a_merge_that_fails_changes_nothing(self, reading: MonitorSink) -> None:
        """Nothing is half replaced."""
        reading.write([segment(1), segment(2)])

        def fail(_: object) -> tuple[Segment, ...]:
            raise ArithmeticError("no")

        with pytest.raises(ArithmeticError):
            reading.replace(_SERIES, _AT, _AT + _HOUR, _MINUTE, fail)
        assert _total(reading) == 2

    def test_series_are_kept_apart(self, reading: MonitorSink) -> None:
        """By tenant, environment, model and version."""
        others = [attrs.evolve(_SERIES, **{name: "other"}) for name in ("tenant", "environment", "model", "version")]
        reading.write([segment(number, series=series) for number, series in enumerate([_SERIES, *others], start=1)])
        assert [_total(reading, series) for series in [_SERIES, *others]] == [1] * 5
        assert list(reading.series("acme", "tickets")) == sorted([_SERIES, others[1], others[3]])
        assert list(reading.series("other")) == [others[0]]
        assert list(reading.tenants()) == ["acme", "other"]
        assert list(reading.series("nobody")) == []

    def test_many_threads_write_at_once(self, reading: MonitorSink) -> None:
        """Nothing is lost, and a segment that two of them bring counts once."""

        def write(offset: int) -> None:
            for sequence in range(1, 21):
                reading.write([segment(sequence, writer=f"w{offset}"), segment(sequence, writer="shared")])

        threads = [threading.Thread(target=write, args=(offset,)) for offset in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert _total(reading) == 4 * 20 + 20

    def test_it_listens_once_from_a_daemon_thread_until_it_is_closed(self, listening: MonitorSink) -> None:
        """It keeps no process alive, and a closed sink may be told again."""
        listening.write([segment(1)])
        before = set(threading.enumerate())
        for _ in range(2):
            listening.listen()
            started = set(threading.enumerate()) - before
            listening.listen()
            assert set(threading.enumerate()) - before == started
            assert all(thread.daemon for thread in started)
            listening.write([segment(2)])
            listening.close()
            for thread in started:
                thread.join(10)
            assert set(threading.enumerate()) & started == set()

    def test_it_says_every_rule_by_its_name(self, sink: MonitorSink) -> None:
        """Every metric, with and without all that a rule can say."""
        tiers = (BurnTier(14.4, _HOUR, _MINUTE), BurnTier(6, 6 * _HOUR, _MINUTE))
        burns = [
            BurnSpec("burn-page", "acme", 0.999, tiers, 0.8, 10, "page"),
            BurnSpec("burn-slow", "acme", 0.9, tiers[:1], 0.8, 10, "ticket"),
        ]
        specs: list[RuleSpec | BurnSpec] = [
            *burns,
            attrs.evolve(burns[1], name="burn-beside", beside="burn-page", model="tickets", environment="production"),
        ]
        specs += [
            RuleSpec(f"rule-{number}", "acme", Threshold.parse(f"{metric} > 0.5"), no_data=no_data, **further)
            for number, (metric, no_data, further) in enumerate(_rules())
        ]
        if "rules" not in sink.capabilities:
            with pytest.raises(CapabilityError, match="cannot write rules"):
                sink.rules(specs)
            return
        text = sink.rules(specs)
        assert [spec.name for spec in specs if spec.name not in text] == []
        assert sink.rules(specs) == text
        assert sink.rules([]).strip() != ""
