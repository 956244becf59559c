"""Windows: merging does not depend on order or roll-up, and figures are None without data."""

import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.records import (
    HealthStatus,
    Segment,
    SeriesKey,
    ValueSum,
    VariantCount,
    Window,
    assess_health,
    merge_segments,
)

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
SERIES = SeriesKey("acme", "production", "tickets", "1.0.0")


def segment(second: int = 0, **fields: object) -> Segment:
    start = AT + timedelta(seconds=second)
    given_fields: dict[str, object] = {"writer": "w", "sequence": second + 1, "total": 1, **fields}
    return Segment(SERIES, start, start + timedelta(seconds=1), **given_fields)  # type: ignore[arg-type]


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    total = draw(st.integers(0, 50))
    errors = draw(st.integers(0, total))
    start = AT + timedelta(seconds=draw(st.integers(0, 20)))
    names = st.sampled_from(["drift.p_value", "live.accuracy"])
    amounts = st.integers(0, 64).map(lambda number: number / 64)  # exact sums, whatever the order
    return Segment(
        series=evolve(SERIES, version=draw(st.sampled_from(["1", "2"]))),
        start=start,
        end=start + timedelta(seconds=draw(st.integers(1, 5))),
        writer=draw(st.sampled_from("ab")),
        sequence=draw(st.integers(1, 9)),
        revision=draw(st.integers(0, 2)),
        total=total,
        errors=errors,
        errors_by_type={"Timeout": errors} if errors else {},
        latency_sum=draw(amounts),
        histogram=draw(st.dictionaries(st.integers(-5, 5), st.integers(1, 9), max_size=3)),
        values={name: ValueSum(1, value, value) for name, value in draw(st.dictionaries(names, amounts)).items()},
    )


@given(st.lists(segments(), max_size=8), st.randoms(use_true_random=False))
def test_order_does_not_matter(found: list[Segment], random: Random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert Window.merge(shuffled) == Window.merge(found)


@given(st.lists(segments(), max_size=8), st.integers(0, 8))
def test_rolling_up_parts_first_does_not_matter(found: list[Segment], cut: int) -> None:
    parts = [*merge_segments(found[:cut]), *merge_segments(found[cut:])]
    assert Window.merge(parts) == Window.merge(found)
    assert Window.merge(merge_segments(parts)) == Window.merge(found)


@given(st.lists(segments(), max_size=8))
def test_a_roll_up_has_one_segment_per_series_and_revision(found: list[Segment]) -> None:
    merged = merge_segments(found)
    assert len(merged) == len({(one.series, one.revision) for one in found})


def test_a_roll_up_keeps_samples() -> None:
    (merged,) = merge_segments([segment(0, sample=({"x": 1},)), segment(1, sample=({"x": 2},))])
    assert [row["x"] for row in merged.sample] == [1, 2]


def test_figures_of_a_window() -> None:
    window = Window.merge(
        [
            segment(0, total=3, errors=1, latency_sum=0.3, histogram={-106: 2, -74: 1}, errors_by_type={"A": 1}),
            segment(9, total=1, errors=1, latency_sum=0.1, histogram={-74: 1}, errors_by_type={"B": 1}),
        ]
    )
    assert (window.total_predictions, window.total_errors, window.error_rate, window.success_rate) == (4, 2, 0.5, 0.5)
    assert window.avg_latency == pytest.approx(0.1)
    assert window.p50_latency == pytest.approx(0.1, rel=0.016)
    assert window.p95_latency == window.p99_latency == pytest.approx(0.2, rel=0.016)
    assert (window.start, window.end) == (AT, AT + timedelta(seconds=10))
    assert window.throughput == pytest.approx(0.4)
    assert window.errors_by_type == {"A": 1, "B": 1}


def test_quiet_time_up_to_the_end_asked_for_is_covered() -> None:
    window = Window.merge([segment()], until=AT + timedelta(seconds=100))
    assert window.end == AT + timedelta(seconds=100)
    assert window.throughput == pytest.approx(0.01)


def test_a_burst_is_no_throughput() -> None:
    short = evolve(segment(total=5), end=AT + timedelta(milliseconds=2))
    assert Window.merge([short]).throughput == 5


def test_nothing_is_none_and_not_zero() -> None:
    window = Window.merge([])
    assert window == Window()
    assert window.total_predictions == 0
    figures = ("error_rate", "success_rate", "avg_latency", "p50_latency", "p95_latency", "p99_latency", "throughput", "start", "end")
    assert [window[name] for name in figures] == [None] * len(figures)


def test_values_alone_make_no_rate() -> None:
    window = Window.merge([segment(total=0, values={"drift.p_value": ValueSum(1, 0.5, 0.5)})])
    assert (window.error_rate, window.throughput, window.metric("drift.p_value")) == (None, 0.0, 0.5)
    assert window.metric("drift.other") is None
    assert window.metric("total_predictions") == 0


def test_the_later_value_is_the_last() -> None:
    early = segment(0, values={"drift.p_value": ValueSum(2, 1.0, 0.9, AT)})
    late = segment(5, values={"drift.p_value": ValueSum(1, 0.1, 0.1)})
    merged = Window.merge([late, early]).values["drift.p_value"]
    assert (merged.count, merged.last, merged.at) == (3, 0.1, AT + timedelta(seconds=6))
    assert merged.sum == pytest.approx(1.1)


def test_counts_are_kept_by_version_and_revision() -> None:
    other = evolve(SERIES, version="2.0.0")
    window = Window.merge(
        [
            segment(0, total=10, errors=1, revision=1),
            segment(1, total=5, revision=2),
            segment(2, total=2, revision=2),
            evolve(segment(3, total=3, errors=3, revision=2), series=other),
        ]
    )
    assert window.counts == (VariantCount("1.0.0", 1, 10, 1), VariantCount("1.0.0", 2, 7, 0), VariantCount("2.0.0", 2, 3, 3))
    assert window.count("1.0.0") == VariantCount("1.0.0", 0, 17, 1)
    assert window.count("1.0.0", 2) == VariantCount("1.0.0", 2, 7, 0)
    assert window.count("1.0.0", since=2).total == 7
    assert window.count("nobody").total == 0


def test_repeated_errors_and_latencies_are_kept_by_version_and_revision() -> None:
    other = evolve(SERIES, version="2.0.0")
    parts = [
        segment(0, total=10, errors=4, repeated_errors=2, histogram={-3: 10}, revision=1),
        segment(1, total=2, errors=2, repeated_errors=1, histogram={5: 2}, revision=1),
        evolve(segment(3, total=3, errors=3, repeated_errors=3, histogram={5: 3}, revision=2), series=other),
    ]
    window = Window.merge(parts)
    assert window.counts == (
        VariantCount("1.0.0", 1, 12, 6, repeated=3, histogram={-3: 10, 5: 2}),
        VariantCount("2.0.0", 2, 3, 3, repeated=3, histogram={5: 3}),
    )
    assert (window.errors, window.repeated_errors, window.histogram) == (9, 6, {-3: 10, 5: 5})
    assert Window.merge(merge_segments(parts)).counts == window.counts
    assert window.count("1.0.0") == VariantCount("1.0.0", 0, 12, 6, repeated=3, histogram={-3: 10, 5: 2})
    assert Window.merge(parts[:1]).counts == (VariantCount("1.0.0", 1, 10, 4, repeated=2, histogram={-3: 10}),)


def test_a_window_goes_to_json_and_back() -> None:
    window = Window.merge([segment(0, histogram={-3: 1}, values={"drift.p_value": ValueSum(1, 0.5, 0.5)})])
    assert Window.from_dict(json.loads(json.dumps(window.to_dict()))) == window


@pytest.mark.parametrize(
    ("errors", "status"), [(0, "healthy"), (2, "healthy"), (3, "degraded"), (5, "degraded"), (6, "unhealthy"), (100, "unhealthy")]
)
def test_health_follows_the_error_rate(errors: int, status: str) -> None:
    report = assess_health(Window(total=100, errors=errors), max_error_rate=0.05)
    assert report["status"] == HealthStatus(status)
    assert bool(report.reasons) is (status != "healthy")
    assert all(f"({errors} of 100)" in reason for reason in report.reasons)


def test_health_without_predictions_is_unknown() -> None:
    report = assess_health(Window())
    assert (report.status, report.reasons) == (HealthStatus.UNKNOWN, ("no predictions in the window",))


def test_no_error_is_healthy_where_none_is_allowed() -> None:
    assert assess_health(Window(total=10), max_error_rate=0).status is HealthStatus.HEALTHY
    assert assess_health(Window(total=10, errors=1), max_error_rate=0).status is HealthStatus.UNHEALTHY
