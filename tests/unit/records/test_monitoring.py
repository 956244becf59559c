"""Series and segments as records."""

from __future__ import annotations

from datetime import UTC, datetime

from mlops_core.records import UNVERSIONED, Segment, SeriesKey, ValueSum

AT = datetime(2024, 5, 1, tzinfo=UTC)


def test_a_segment_survives_json_with_its_histogram() -> None:
    series = SeriesKey("acme", "staging", "m")
    segment = Segment(
        series, AT, AT, "w", 1, total=3, errors_by_type={"E": 1}, histogram={-4: 2, 7: 1}, values={"a": ValueSum(1, 2.0, 2.0)}
    )
    assert Segment.from_dict(segment.to_dict()) == segment
    assert series.version == UNVERSIONED


def test_series_sort_by_their_parts() -> None:
    assert SeriesKey("a", "e", "m", "1") < SeriesKey("a", "e", "m", "2") < SeriesKey("b", "a", "a", "0")
