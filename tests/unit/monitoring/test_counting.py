"""Counting what comes late or fails: outcomes, and what is kept of failures. What both sides share is tested with the facade."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mlops_core.config.settings import AlertRule, GroundTruthSettings, SampleSettings
from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.records import UNNAMED, Estimate, Logged, Segment, SeriesKey, ValueSum, merge_segments
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_sink import MemorySink
from tests.unit.monitoring.conftest import MakeStack

DAY = timedelta(days=1)
LONG_AGO, FAR_OFF = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def logged(make: MakeStack) -> Iterator[ModelMonitoring]:
    """Every prediction is logged."""
    with ModelMonitoring(stack=make(ground_truth=GroundTruthSettings(1.0))) as facade:
        yield facade


def live(monitoring: ModelMonitoring, window: timedelta = DAY, **options: Any) -> dict[str, tuple[float, int]]:
    found = monitoring.get_metrics("m", window, **options).live
    return {name: (round(one.value, 6), one.n) for name, one in found.items()}


def segments(sink: MemorySink, model: str = "m") -> list[Segment]:
    return list(sink.read(SeriesKey("acme", "default", model), LONG_AGO, FAR_OFF))


def test_outcomes_make_live_figures(logged: ModelMonitoring) -> None:
    for name, prediction, score in (("a", 1, 0.9), ("b", 1, 0.6), ("c", 0, 0.2), ("d", 0, 0.4)):
        logged.track_prediction("m", 0.1, success=True, prediction_id=name, prediction=prediction, score=score)
    assert live(logged) == {}
    assert logged.record_outcome("a", 1) is True
    assert logged.record_outcomes({"b": 0, "c": False, "nobody": 1}, model_id="m") == 3
    assert live(logged) == {"accuracy": (0.666667, 3), "precision": (0.5, 2), "recall": (1.0, 1), "f1": (0.666667, 3), "roc_auc": (1.0, 3)}
    metrics = logged.get_metrics("m")
    assert metrics.total_predictions == 4
    assert isinstance(metrics.live["accuracy"], Estimate)
    assert metrics.live["accuracy"].low < 0.67 < metrics.live["accuracy"].high


def test_a_late_outcome_revises_the_window_of_its_prediction(logged: ModelMonitoring, clock: FakeClock) -> None:
    logged.track_prediction("m", 0.1, success=True, prediction_id="a", prediction="x")
    first = clock.now()
    clock.advance(20 * 86_400)
    logged.track_prediction("m", 0.1, success=True, prediction_id="b", prediction="x")
    logged.record_outcomes({"a": "y", "b": "x"})
    assert live(logged)["accuracy"] == (1.0, 1)
    assert live(logged, end=first + DAY / 2)["accuracy"] == (0.0, 1)
    assert live(logged, DAY * 30)["accuracy"] == (0.5, 2)


def test_an_outcome_counts_once(logged: ModelMonitoring, clock: FakeClock) -> None:
    logged.track_prediction("m", 0.1, success=True, prediction_id="a", prediction=1)
    for label in (1, 0, 1):
        logged.record_outcome("a", label)
        assert live(logged)["accuracy"] == (1.0, 1)
        clock.advance(5)
    logged.track_prediction("m", 0.1, success=True, prediction_id="a", prediction=0)  # the id is taken
    assert live(logged)["accuracy"] == (1.0, 1)


def test_an_outcome_may_come_before_its_prediction(logged: ModelMonitoring) -> None:
    logged.record_outcome("a", 1, model_id="m")
    assert live(logged) == {}
    logged.track_prediction("m", 0.1, success=True, prediction_id="a", prediction=1)
    assert live(logged)["accuracy"] == (1.0, 1)


def test_versions_answer_side_by_side(logged: ModelMonitoring) -> None:
    """Where a program tracks what each would have answered: one outcome is that of both."""
    for version, prediction in (("1", 1), ("2", 0)):
        logged.track_prediction("m", 0.1, success=True, prediction_id="a", prediction=prediction, version=version)
    logged.track_prediction("other", 0.1, success=True, prediction_id="a", prediction=0)
    logged.record_outcome("a", 1, model_id="m")
    assert live(logged, version="1")["accuracy"] == (1.0, 1)
    assert live(logged, version="2")["accuracy"] == (0.0, 1)
    assert logged.get_metrics("other").live == {}


def test_rows_of_a_request_have_outcomes_of_their_own(logged: ModelMonitoring) -> None:
    record = logged.recorder(SeriesKey("acme", "default", "m"))
    record.count(0.1, True)
    assert record.wants("a", 3)
    record.sample("a", {"x": [1, 2, 3]}, {"prediction": [0.5, 1.5, 2.5]})
    logged.record_outcome("a", 2.5, row=2)
    logged.record_outcomes({("a", 1): 2.5})
    assert live(logged) == {"rmse": (round(0.5**0.5, 6), 2), "mae": (0.5, 2)}


def test_outcomes_of_what_is_not_logged_are_counted_and_ignored(
    make: MakeStack, sink: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with ModelMonitoring(stack=make(ground_truth=GroundTruthSettings(0.25))) as monitoring:
        names = [f"p{number}" for number in range(400)]
        for name in names:
            monitoring.track_prediction("m", 0.1, success=True, prediction_id=name, prediction=1)
        taken = monitoring.record_outcomes(dict.fromkeys(names, 1), model_id="m")
        assert 70 < taken < 130
        assert live(monitoring)["accuracy"] == (1.0, taken)
        assert sum(monitoring.record_outcome(f"q{number}", 1) for number in range(20)) < 20
        monitoring.flush()
    assert f"{400 - taken} of 400 outcomes are of predictions that are not logged" in caplog.text
    assert list(sink.series("acme")) == [SeriesKey("acme", "default", "m")]  # outcomes make no series
    logged = list(sink.read_log(SeriesKey("acme", "default", "m"), LONG_AGO, FAR_OFF).items)
    assert len([row for row in logged if row.kind == "prediction"]) == taken


def test_without_a_name_or_an_answer_nothing_is_logged(logged: ModelMonitoring, sink: MemorySink) -> None:
    logged.track_prediction("m", 0.1, success=True, prediction=1)
    logged.track_prediction("m", 0.1, success=True, prediction="secret-answer", features={"x": 1})
    logged.track_prediction("m", 0.1, success=True, prediction_id="a")
    logged.track_prediction("m", 0.1, success=False, error="Timeout", prediction_id="b", prediction=1)
    logged.flush()
    assert sink.read_log(SeriesKey("acme", "default", "m"), LONG_AGO, FAR_OFF).items == ()
    assert logged.get_metrics("m").total_predictions == 4


def test_an_alert_rule_watches_a_live_figure(make: MakeStack) -> None:
    rule = AlertRule(name="accuracy", when="live.accuracy < 0.8", window=DAY)
    with ModelMonitoring(stack=make(rule, ground_truth=GroundTruthSettings(1.0))) as monitoring:
        for number in range(40):
            monitoring.track_prediction("m", 0.1, success=True, prediction_id=str(number), prediction=number % 2)
        monitoring.record_outcomes({"0": 1, "1": 1})
        assert monitoring.evaluate() == ()  # one of two may be so by chance
        monitoring.record_outcomes({str(number): 1 for number in range(40)})
        (incident,) = monitoring.evaluate()
        assert (incident.rule, incident.model, incident.state, incident.value) == ("accuracy", "m", "firing", 0.5)


def test_every_order_of_arrival_gives_one_answer(make: MakeStack, tmp_path: Path) -> None:
    """Whatever is rolled up, repeated or late in between."""
    for seed in range(5):
        random, kept = Random(seed), MemorySink()
        stack = make(sinks={"memory": kept}, ground_truth=GroundTruthSettings(1.0))
        names = [f"{seed}-{number}" for number in range(60)]
        acts = [("predict", name) for name in names] + [("label", name) for name in names for _ in range(2)]
        random.shuffle(acts)
        with ModelMonitoring(stack=stack) as monitoring:
            for act, name in acts:
                if act == "predict":
                    monitoring.track_prediction("m", 0.1, success=True, prediction_id=name, prediction=int(name[-1]) % 2)
                else:
                    monitoring.record_outcome(name, 1)
                if random.random() < 0.1:
                    assert monitoring.get_metrics("m").total_predictions <= 60
                if random.random() < 0.05:
                    kept.replace(SeriesKey("acme", "default", "m"), LONG_AGO, FAR_OFF, timedelta(seconds=1), merge_segments)
            assert live(monitoring)["accuracy"] == (0.5, 60)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda one: one.record_outcome("", 1), "prediction_id: expected text of 1 to 256 characters"),
        (lambda one: one.record_outcome("a", None), "label: expected a class or a finite number, got missing"),
        (lambda one: one.record_outcome("a", 1, row=-1), "row: -1 is no row of a request"),
        (lambda one: one.record_outcome("a", 1, model_id="no/name"), "model"),
        (lambda one: one.record_outcomes([("a", 1)]), "outcomes: expected labels by prediction id, got list"),
        (lambda one: one.record_outcomes({"a": 1, "b": [1]}), "label: .* got list"),
    ],
)
def test_a_wrong_outcome_is_one_line_and_changes_nothing(logged: ModelMonitoring, sink: MemorySink, call: Any, told: str) -> None:
    logged.track_prediction("m", 0.1, success=True, prediction_id="a", prediction=1)
    with pytest.raises(MonitoringError, match=told) as caught:
        call(logged)
    assert "\n" not in caught.value.message
    assert live(logged) == {}
    assert segments(sink, UNNAMED) == []


def test_outcomes_need_a_log(monitoring: ModelMonitoring) -> None:
    with pytest.raises(MonitoringError, match=r"^monitoring.ground_truth: no prediction is logged - set its rate"):
        monitoring.record_outcome("a", 1)


def test_each_kind_of_row_has_a_retention_of_its_own(make: MakeStack, sink: MemorySink, clock: FakeClock) -> None:
    truth, sample = GroundTruthSettings(1.0, timedelta(days=5)), SampleSettings(("x",), 1.0, timedelta(days=2))
    with ModelMonitoring(stack=make(ground_truth=truth, sample=sample)) as monitoring:
        for day in range(8):
            monitoring.track_prediction("m", 0.1, success=True, prediction_id=str(day), prediction=1, features={"x": day})
            monitoring.flush()
            clock.advance(86_400)
        assert monitoring.expire() == (8 - 1) + (8 - 5)  # a segment that reaches beyond the bound goes
        assert monitoring.expire() == 0
    assert sum(len(one.sample) for one in segments(sink)) == 1
    assert len(sink.read_log(SeriesKey("acme", "default", "m"), LONG_AGO, FAR_OFF).items) == 5


def test_without_ground_truth_the_log_is_erased(make: MakeStack, sink: MemorySink, clock: FakeClock) -> None:
    sink.log([Logged(SeriesKey("acme", "default", "m"), "prediction", "a", clock.now(), {"prediction": 1})])
    clock.advance(1)
    with ModelMonitoring(stack=make()) as monitoring:
        assert monitoring.expire() == 1


@pytest.fixture
def sampled(make: MakeStack) -> Iterator[ModelMonitoring]:
    with ModelMonitoring(stack=make(sample=SampleSettings(("delay",), rate=1.0))) as facade:
        yield facade


def test_some_failures_are_kept_apart_from_the_sample(sampled: ModelMonitoring, clock: FakeClock) -> None:
    for number in range(40):
        sampled.track_prediction(
            "m",
            0.1,
            success=False,
            error="Bad: planted-secret",
            prediction_id=str(number),
            features={"delay": number, "name": "planted-secret"},
        )
        clock.advance(0.001)
    sampled.flush()
    clock.advance(1)
    sampled.track_prediction("m", 0.1, success=False, prediction_id="last", features={"delay": 5})
    found = sampled.failures("m")
    assert (found[0]["prediction_id"], found[0]["error"], found[0]["features"]) == ("last", "unspecified", {"delay": 5})
    assert 1 < len(found) <= 41
    assert "planted-secret" not in str(found)
    assert sampled.failures("m", version="7") == []
    assert sampled.get_metrics("m").errors_by_type == {"Bad": 40, "unspecified": 1}
    assert sampled.purge(ids=["last"]) == 2  # its row of the uniform sample too
    assert "last" not in [row["prediction_id"] for row in sampled.failures("m")]


def test_a_flood_of_failures_is_bounded(sampled: ModelMonitoring, sink: MemorySink) -> None:
    record = sampled.recorder(SeriesKey("acme", "default", "m"))
    record.count(0.1, False)
    for number in range(1000):
        record.failed(str(number), {"delay": [number]}, "Timeout: at 5")
    record.failed("odd", {"delay": 5}, "Timeout")
    sampled.flush()
    assert all(len(one.failures) <= 10 for one in segments(sink))
    kept = [row for one in segments(sink) for row in one.failures]
    assert {row["error"] for row in kept} == {"Timeout"}
    assert "odd" not in [row["prediction_id"] for row in kept]


def test_without_a_sample_no_failure_is_kept(logged: ModelMonitoring) -> None:
    logged.track_prediction("m", 0.1, success=False, prediction_id="a", features={"x": 1})
    assert logged.failures("m") == []


def test_what_memory_could_not_hold_is_counted(logged: ModelMonitoring, sink: MemorySink) -> None:
    record = logged.recorder(SeriesKey("acme", "default", "m"))
    record.count(0.1, True)
    record.sample("a", {"x": range(12_000)}, {"prediction": [1] * 12_000})
    logged.flush()
    record.sample("b", {"x": range(13_000)}, {"prediction": [1] * 13_000})
    assert logged.get_metrics("m").values["custom.log_dropped"] == 5000
    assert sum(one.values.get("custom.log_dropped", ValueSum(0, 0, 0)).sum for one in segments(sink)) == 5000


def test_what_is_recorded_late_is_known_before_it_is_erased(logged: ModelMonitoring, sink: MemorySink, clock: FakeClock) -> None:
    logged.track_prediction("m", 0.1, success=True, prediction_id="a", prediction="p", version="1")
    clock.advance(29 * 86_400)
    logged.record_outcome("a", "planted-label")
    clock.advance(2 * 86_400)
    assert logged.expire() == 2  # the prediction, and its outcome with it
    assert live(logged, timedelta(days=40))["accuracy"] == (0.0, 1)
    assert "planted-label" not in str(list(sink.read(SeriesKey("acme", "default", "m", "1"), LONG_AGO, FAR_OFF)))


def test_failures_are_those_of_the_window(sampled: ModelMonitoring, sink: MemorySink, clock: FakeClock) -> None:
    for number in range(6):
        sampled.track_prediction("m", 0.1, success=False, prediction_id=str(number), features={"delay": 1})
        sampled.flush()
        clock.advance(600)
    sink.replace(SeriesKey("acme", "default", "m"), LONG_AGO, FAR_OFF, timedelta(hours=1), merge_segments)
    found = sampled.failures("m", timedelta(minutes=25))
    assert [row["prediction_id"] for row in found] == ["5", "4"]


def test_a_file_of_many_outcomes_holds_no_window_up(make: MakeStack, clock: FakeClock) -> None:
    """A read matches for a moment only; the control loop goes on with what is left."""

    class Slow(MemorySink):
        contract = 1

        def join(self, tenant: str, tally: Any) -> int:
            clock.advance(1)
            return super().join(tenant, tally)

    with ModelMonitoring(stack=make(sinks={"slow": Slow()}, ground_truth=GroundTruthSettings(1.0))) as monitoring:
        names = [str(number) for number in range(1500)]
        for name in names:
            monitoring.track_prediction("m", 0.1, success=True, prediction_id=name, prediction=1)
        monitoring.record_outcomes(dict.fromkeys(names, 1))
        monitoring.flush()
        assert live(monitoring)["accuracy"] == (1.0, 1000)  # the first batch
        monitoring.roll_up()
        assert live(monitoring)["accuracy"] == (1.0, 1500)


def test_threads_that_count_at_once_for_the_first_time_share_a_collector(make: MakeStack) -> None:
    totals = []
    for _ in range(20):
        with ModelMonitoring(stack=make()) as monitoring:
            barrier = threading.Barrier(4)

            def count(facade: ModelMonitoring = monitoring, start: threading.Barrier = barrier) -> None:
                start.wait()
                facade.track_prediction("m", 0.1, success=True)

            threads = [threading.Thread(target=count) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            totals.append(monitoring.get_metrics("m").total_predictions)
    assert totals == [4 * number for number in range(1, 21)]
