"""What every monitor sink that keeps a prediction log must do with it: a part of the conformance suite."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from mlops_core.exceptions import CapabilityError
from mlops_core.records import UNNAMED, Joined, Logged, Quality, Segment, SeriesKey, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.roles import MonitorSink

__all__ = ["PredictionLogSuite", "segment"]

_AT: Final = datetime(2024, 5, 1, 12, tzinfo=UTC)
_SERIES: Final = SeriesKey("acme", "production", "tickets", "1.0.0")
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


def segment(sequence: int = 1, second: float = 0, *, series: SeriesKey = _SERIES, writer: str = "w1", **fields: object) -> Segment:
    """A segment of one second, ``second`` seconds after noon; one prediction of 2 ms unless told otherwise."""
    start = _AT + timedelta(seconds=second)
    counted: dict[str, object] = {"total": 1, "latency_sum": 0.002, "histogram": {-286: 1}, **fields}
    return Segment(series, start, start + timedelta(seconds=1), writer, sequence, **counted)  # type: ignore[arg-type]


class PredictionLogSuite:
    """The prediction log: each row once, matched once, erased on request."""

    @pytest.fixture
    def logging(self, sink: MonitorSink) -> MonitorSink:
        """The sink, of a kind that keeps a prediction log."""
        if "log" not in sink.capabilities:
            with pytest.raises(CapabilityError, match="cannot log"):
                sink.log([])
            pytest.xfail("this sink declares that it keeps no prediction log")
        return sink

    def test_the_log_keeps_each_row_once(self, logging: MonitorSink) -> None:
        """By series, kind, prediction id and row."""
        first = Logged(_SERIES, "prediction", "p1", _AT, {"score": 0.5})
        logging.log([first, first, attrs.evolve(first, kind="outcome", value=1), attrs.evolve(first, row=1)])
        logging.log([first, attrs.evolve(first, prediction_id="p2", at=_AT + _HOUR)])
        logging.log([attrs.evolve(first, series=attrs.evolve(_SERIES, version="2.0.0"), value=3)])
        page = logging.read_log(_SERIES, _AT, _AT + _HOUR)
        assert [(row.kind, row.prediction_id, row.row, row.value) for row in page.items] == [
            ("prediction", "p1", 0, {"score": 0.5}),
            ("outcome", "p1", 0, 1),
            ("prediction", "p1", 1, {"score": 0.5}),
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
        logging.write([segment(3, 1, failures=({"prediction_id": "f1", "error": "Timeout"},))])
        assert logging.purge("acme") == 0
        assert logging.purge("acme", before=_AT - _HOUR) == 0
        assert logging.purge("acme", ids=["f1", "p1"], part="log") == 1
        assert logging.purge("acme", ids=["f1"], part="samples") == 1
        assert logging.purge("acme", ids=["p1", "unknown"]) == 1
        assert logging.purge("acme", before=_AT + _HOUR, part="samples") == 1
        assert logging.purge("acme", before=_AT + _HOUR) == 1
        assert [row.prediction_id for row in logging.read_log(_SERIES, _AT, _AT + _HOUR * 9).items] == ["p2"]
        assert len(logging.read_log(stranger, _AT, _AT + _HOUR).items) == 1
        assert [(kept.total, kept.sample, kept.failures) for kept in logging.read(_SERIES, _AT, _AT + _HOUR)] == [(1, (), ())] * 2

    def test_outcomes_go_with_their_predictions_and_rows_with_their_segment(self, logging: MonitorSink) -> None:
        """What is asked to be gone before a time leaves nothing of what was predicted before."""
        other = attrs.evolve(_SERIES, model="someone")
        logging.log([_prediction("old"), _outcome("old", "late-secret"), _outcome("old", "theirs", other), _outcome("unknown", 1)])
        logging.log([attrs.evolve(_prediction("new"), at=_AT + _HOUR), _outcome("new", 1)])
        logging.write([segment(1, sample=({"prediction_id": "old"},), failures=({"prediction_id": "bad"},))])
        assert logging.purge("acme", before=_AT + timedelta(seconds=0.5)) == 4
        left = [row.value for key in (_SERIES, other) for row in logging.read_log(key, _AT, _AT + _HOUR * 9).items]
        assert left == [1, {"prediction": 1}, 1, "theirs"]

    def test_outcomes_are_matched_once_whichever_came_first(self, logging: MonitorSink) -> None:
        """Across versions, each prediction with the first outcome of its id and row; of another model or tenant never."""
        other, stranger = attrs.evolve(_SERIES, version="2.0.0"), attrs.evolve(_SERIES, tenant="other")
        unnamed, wrong = attrs.evolve(_SERIES, model=UNNAMED), attrs.evolve(_SERIES, model="someone")
        pairs = _Pairs()
        logging.log([_outcome("late", 1, unnamed), _outcome("p1", 0, wrong), _outcome("p1", 0, stranger)])
        logging.log([_prediction("p1"), _prediction("p1", other), _prediction("p1", row=1), _prediction("p2")])
        assert pairs.joined(logging) == []
        logging.log([_outcome("p1", 1, unnamed), _prediction("late")])
        assert pairs.joined(logging) == [("1.0.0", "late", 0, 1), ("1.0.0", "p1", 0, 1), ("2.0.0", "p1", 0, 1)]
        logging.log([_outcome("p1", 0), _outcome("p1", 1, unnamed), _prediction("p1"), _outcome("p2", 7)])
        assert pairs.joined(logging) == [("1.0.0", "p2", 0, 7)]
        assert Window.merge(logging.read(_SERIES, _AT, _AT + _HOUR)).quality.labelled == 3
        assert Window.merge(logging.read(other, _AT, _AT + _HOUR)).quality.labelled == 1

    def test_a_tally_that_fails_is_asked_again(self, logging: MonitorSink) -> None:
        """Nothing is half matched."""
        logging.log([_prediction("p1"), _outcome("p1", 1)])

        def fail(_: object) -> tuple[Segment, ...]:
            raise ArithmeticError("no")

        with pytest.raises(ArithmeticError):
            logging.join("acme", fail)
        assert _Pairs().joined(logging) == [("1.0.0", "p1", 0, 1)]

    def test_many_outcomes_are_matched_by_several_at_once(self, logging: MonitorSink) -> None:
        """Each pair once."""
        logging.log([_prediction(f"p{number}") for number in range(1500)])
        logging.log([_outcome(f"p{number}", number) for number in range(1500)])
        pairs = _Pairs()
        threads = [threading.Thread(target=pairs.joined, args=(logging,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Window.merge(logging.read(_SERIES, _AT, _AT + _HOUR)).quality.labelled == 1500


class _Pairs:
    """A tally that remembers what it was given."""

    def tally(self, joined: Sequence[Joined]) -> list[Segment]:
        """One segment for each pair."""
        self.seen |= {(one.prediction.series.version, one.prediction.prediction_id, one.prediction.row, one.label) for one in joined}
        return [
            Segment(one.prediction.series, one.prediction.at, one.prediction.at + _MINUTE, "", 0, quality=Quality(labelled=1))
            for one in joined
        ]

    def joined(self, sink: MonitorSink) -> list[tuple[str, str, int, Any]]:
        """Join until nothing is left; answers the pairs of this time, sorted."""
        self.seen: set[tuple[str, str, int, Any]] = set()
        while sink.join("acme", self.tally):
            pass
        return sorted(self.seen)


def _prediction(name: str, series: SeriesKey = _SERIES, row: int = 0) -> Logged:
    return Logged(series, "prediction", name, _AT, {"prediction": 1}, row)


def _outcome(name: str, label: Any, series: SeriesKey = _SERIES) -> Logged:
    return Logged(series, "outcome", name, _AT + _HOUR, label)
