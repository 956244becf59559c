"""Lines of a spool: read as they were written, by earlier releases too."""

import json
from datetime import UTC, datetime

from attrs import evolve

from mlops_core.monitoring.parcel import Parcel, merge_parcels
from mlops_core.records import Logged
from mlops_core.testing.sink_suite import segment

ROW = Logged(segment().series, "prediction", "p1", datetime(2024, 5, 1, tzinfo=UTC), {"prediction": 1, "score": 0.5}, 2)


def test_a_line_is_read_as_it_was_written() -> None:
    parcel = Parcel(segment(7, writer=""), (ROW, evolve(ROW, kind="outcome", value="late")))
    line = json.loads(json.dumps(parcel.record()))
    assert Parcel.of("w9", 3, line) == Parcel(evolve(parcel.segment, writer="w9", sequence=3), parcel.rows)


def test_a_line_without_rows_is_a_segment() -> None:
    plain = segment().to_dict()
    assert Parcel.of("w1", 1, plain) == Parcel(segment())
    assert plain.pop("repeated_errors") == 0, "an earlier release does not know it"
    assert Parcel(segment()).record() == plain
    assert Parcel.of("w1", 1, plain) == Parcel(segment())
    failed = segment(errors=2, repeated_errors=1)
    assert Parcel.of("w1", 1, Parcel(failed).record()).segment == failed


def test_a_line_of_an_earlier_release_is_read() -> None:
    parcel = Parcel(segment())
    assert Parcel.of("w", 1, {**parcel.record(), "unit_errors": 0}) == Parcel.of("w", 1, parcel.record())


def test_parcels_merge_and_keep_their_rows() -> None:
    found = merge_parcels([Parcel(segment(1), (ROW,)), Parcel(segment(2, 1), (evolve(ROW, row=3),))])
    assert [(one.segment.total, one.rows) for one in found] == [(2, (ROW, evolve(ROW, row=3)))]
    many = [Parcel(segment(number), (evolve(ROW, row=number),) * 30_000) for number in range(1, 5)]
    (merged,) = merge_parcels(many)
    assert (merged.segment.total, len(merged.rows)) == (4, 100_000)
