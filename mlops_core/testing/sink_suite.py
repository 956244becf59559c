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
from mlops_core.records import Logged, Segment, SeriesKey, ValueSum, Window, merge_segments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.roles import MonitorSink

__all__ = ["MonitorSinkSuite", "segment"]

_AT: Final = datetime(2024, 5, 1, 12, tzinfo=UTC)
_SERIES: Final = SeriesKey("acme", "production", "tickets", "1.0.0")
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


def segment(sequence: int = 1, second: float = 0, *, series: SeriesKey = _SERIES, writer: str = "w1", **fields: object) -> Segment:
    """A segment of one second, ``second`` seconds after noon; one prediction of 2 ms unless told otherwise."""
    start = _AT + timedelta(seconds=second)
    counted: dict[str, object] = {"total": 1, "latency_sum": 0.002, "histogram": {-286: 1}, **fields}
    return Segment(series, start, start + timedelta(seconds=1), writer, sequence, **counted)  # type: ignore[arg-type]


def _total(sink: MonitorSink, series: SeriesKey = _SERIES, start: datetime = _AT, end: datetime = _AT + _HOUR) -> int:
    return Window.merge(sink.read(series, start, end)).total


class MonitorSinkSuite:
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
    def logging(self, sink: MonitorSink) -> MonitorSink:
        """The sink, of a kind that keeps a prediction log."""
        if "log" not in sink.capabilities:
            with pytest.raises(CapabilityError, match="cannot log"):
                sink.log([])
            pytest.xfail("this sink declares that it keeps no prediction log")
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
            unit_errors=1,
            errors_by_type={"Timeout": 2},
            values={"drift.p_value": value},
            sample=({"prediction_id": "p", "x": 1.5},),
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

    def test_the_log_keeps_each_row_once(self, logging: MonitorSink) -> None:
        """By tenant, kind and prediction id."""
        first = Logged(_SERIES, "prediction", "p1", _AT, {"score": 0.5})
        logging.log([first, first, attrs.evolve(first, kind="outcome", value=1)])
        logging.log([first, attrs.evolve(first, prediction_id="p2", at=_AT + _HOUR)])
        page = logging.read_log(_SERIES, _AT, _AT + _HOUR)
        assert [(row.kind, row.prediction_id, row.value) for row in page.items] == [
            ("prediction", "p1", {"score": 0.5}),
            ("outcome", "p1", 1),
        ]
        assert page.cursor is None

    def test_a_long_log_is_read_page_by_page(self, logging: MonitorSink) -> None:
        """Each row is met once."""
        logging.log([Logged(_SERIES, "prediction", f"p{number}", _AT, number) for number in range(2500)])
        found, cursor = [], None
        while True:
            page = logging.read_log(_SERIES, _AT, _AT + _HOUR, since=cursor)
            found += [row.value for row in page.items]
            cursor = page.cursor
            if cursor is None:
                break
        assert found == list(range(2500))

    def test_purging_erases_by_age_and_by_id(self, logging: MonitorSink) -> None:
        """Rows of the log and of samples, of one tenant; counts stay."""
        stranger = attrs.evolve(_SERIES, tenant="other")
        sampled = segment(1, sample=({"prediction_id": "p1"}, {"prediction_id": "p9"}))
        logging.write([sampled, segment(2, series=stranger, sample=({"prediction_id": "p1"},))])
        logging.log([Logged(_SERIES, "prediction", name, _AT + _HOUR * hour, 0) for hour, name in enumerate(("p0", "p1", "p2"))])
        logging.log([Logged(stranger, "prediction", "p1", _AT, 0)])
        assert logging.purge("acme") == 0
        assert logging.purge("acme", ids=["p1", "unknown"]) == 2
        assert logging.purge("acme", before=_AT + _HOUR) == 2
        assert [row.prediction_id for row in logging.read_log(_SERIES, _AT, _AT + _HOUR * 9).items] == ["p2"]
        assert len(logging.read_log(stranger, _AT, _AT + _HOUR).items) == 1
        (kept,) = logging.read(_SERIES, _AT, _AT + _HOUR)
        assert (kept.total, kept.sample) == (1, ())
