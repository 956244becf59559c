"""The facade: the calls of the specification, windows, health, and one line for every mistake."""

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_core.config.settings import SampleSettings
from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.records import SeriesKey
from mlops_core.roles import MonitorSink
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_sink import MemorySink

HOUR = timedelta(hours=1)
MakeStack = Callable[..., Stack]


def test_the_example_of_the_specification(monitoring: ModelMonitoring) -> None:
    monitoring.track_prediction(model_id="ticket_classifier", prediction_time=0.15, success=True)
    monitoring.track_prediction(model_id="ticket_classifier", prediction_time=0.05, success=False, error="Invalid input format")
    metrics = monitoring.get_metrics(model_id="ticket_classifier", time_window=HOUR)
    assert (metrics["total_predictions"], metrics["success_rate"], metrics["error_rate"]) == (2, 0.5, 0.5)
    assert metrics["avg_latency"] == pytest.approx(0.1)
    assert metrics["p95_latency"] == pytest.approx(0.15, rel=0.016)
    assert metrics["errors_by_type"] == {"Invalid input format": 1}
    health = monitoring.check_health("ticket_classifier")
    assert (health["status"], health["reasons"]) == ("unhealthy", ("error rate 50.00% (1 of 2) is above the maximum of 5.00%",))


def test_a_model_nobody_used_is_unknown_and_no_error(monitoring: ModelMonitoring) -> None:
    metrics = monitoring.get_metrics("nobody")
    assert (metrics.total_predictions, metrics.success_rate, metrics.p99_latency, metrics.start) == (0, None, None, None)
    assert monitoring.check_health("nobody")["status"] == "unknown"


def test_environments_and_versions_are_told_apart(monitoring: ModelMonitoring) -> None:
    monitoring.track_prediction("m", 0.1, success=True)
    for environment, version, count in (("staging", "1", 2), ("production", "1", 3), ("production", "2", 4)):
        for _ in range(count):
            monitoring.track_prediction("m", 0.1, success=True, environment=environment, version=version)

    def total(**chosen: str) -> int:
        return monitoring.get_metrics("m", HOUR, **chosen).total_predictions  # type: ignore[arg-type]  # names of texts

    assert total() == 10
    assert total(environment="production") == 7
    assert total(version="1") == 5
    assert total(environment="production", version="2") == 4
    assert total(environment="default", version="unversioned") == 1
    assert total(environment="elsewhere") == 0


def test_tenants_do_not_see_each_other(stack: Stack) -> None:
    with ModelMonitoring("one", stack=stack) as one, ModelMonitoring("two", stack=stack) as two:
        one.track_prediction("m", 0.1, success=True)
        assert (one.tenant_id, one.get_metrics("m").total_predictions, two.get_metrics("m").total_predictions) == ("one", 1, 0)


def test_a_window_lies_anywhere_in_the_past(monitoring: ModelMonitoring, clock: FakeClock) -> None:
    began = clock.now()
    for minute in range(6):
        for _ in range(minute):
            monitoring.track_prediction("m", 0.1, success=True)
        monitoring.flush()
        clock.advance(60)
    assert monitoring.get_metrics("m", HOUR).total_predictions == 15
    assert monitoring.get_metrics("m", timedelta(seconds=150)).total_predictions == 4 + 5
    past = monitoring.get_metrics("m", timedelta(minutes=2), end=began + timedelta(minutes=3, seconds=30))
    assert past.total_predictions == 2 + 3
    assert past.end == began + timedelta(minutes=3, seconds=30)


def test_a_clock_that_was_set_back_hides_nothing(monitoring: ModelMonitoring, clock: FakeClock) -> None:
    monitoring.track_prediction("m", 0.1, success=True)
    monitoring.flush()
    clock.at -= HOUR
    monitoring.track_prediction("m", 0.1, success=True)
    assert monitoring.get_metrics("m", timedelta(minutes=5)).total_predictions == 2


def test_eight_threads_count_exactly(monitoring: ModelMonitoring) -> None:
    each = 1500
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:

        def count() -> None:
            for step in range(each):
                monitoring.track_prediction("m", 0.1, success=step % 3 != 0, version=str(step % 2))

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    metrics = monitoring.get_metrics("m", HOUR)
    assert (metrics.total_predictions, metrics.total_errors) == (8 * each, 8 * each / 3)


def test_a_server_counts_by_revision(monitoring: ModelMonitoring, sink: MemorySink) -> None:
    series = SeriesKey("other-tenant", "production", "m", "1.0.0")
    monitoring.recorder(series, 7).count(0.1, success=True)
    monitoring.flush()
    (found,) = sink.read(series, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    assert (found.series, found.revision, found.total) == (series, 7, 1)


def test_recorded_values_stand_beside_the_predictions(monitoring: ModelMonitoring, clock: FakeClock) -> None:
    monitoring.record_values("m", {"drift.p_value": 0.5, "live.accuracy": 1})
    clock.advance(1)
    monitoring.record_values("m", {"drift.p_value": 0.25}, environment="production", version="1")
    monitoring.record_values("m", {})
    metrics = monitoring.get_metrics("m")
    assert (metrics.values, metrics.total_predictions) == ({"drift.p_value": 0.25, "live.accuracy": 1.0}, 0)
    assert monitoring.get_metrics("m", version="unversioned").values["drift.p_value"] == 0.5


def test_health_follows_the_settings(make: MakeStack, clock: FakeClock) -> None:
    with ModelMonitoring(stack=make(max_error_rate=0.5, health_window=timedelta(seconds=30))) as monitoring:
        for number in range(10):
            monitoring.track_prediction("m", 0.1, success=number != 0)
        assert monitoring.check_health("m").status == "healthy"
        monitoring.flush()
        clock.advance(60)
        assert monitoring.check_health("m").status == "unknown"
        assert monitoring.check_health("m", HOUR).window.total == 10


def test_with_durability_sync_a_call_returns_when_it_is_spooled(make: MakeStack, tmp_path: Path) -> None:
    with ModelMonitoring(stack=make(durability="sync")) as monitoring:
        for count in (1, 2):
            monitoring.track_prediction("m", 0.1, success=True)
            (spool,) = (tmp_path / ".mlops" / "spool" / "monitoring").glob("*.spool")
            assert spool.read_text().count('"model":"m"') == count


NAMED = [
    (lambda one: one.track_prediction("no such/name", 0.1, success=True), "model: 'no such/name' is not a name"),
    (lambda one: one.track_prediction(7, 0.1, success=True), "model: expected text, got int"),
    (lambda one: one.track_prediction(["m"], 0.1, success=True), "model: expected text, got list"),
    (lambda one: one.track_prediction("m", 0.1, success=True, environment="../x"), "environment: '../x' is not a name"),
    (lambda one: one.track_prediction("m", 0.1, success=True, version=""), "version: '' is not a name"),
    (lambda one: one.track_prediction("m", -1.0, success=True), "prediction_time: -1.0 is no duration"),
    (lambda one: one.track_prediction("m", float("nan"), success=True), "prediction_time: nan is no duration"),
    (lambda one: one.track_prediction("m", 0.1, success="yes"), "success: expected True or False, got str"),
    (lambda one: one.track_prediction("m", 0.1, success=False, error="x" * 1_000_000), "error: 1000000 characters"),
    (lambda one: one.track_prediction("m", 0.1, success=True, prediction_id=""), "prediction_id: expected text of 1 to 256"),
    (lambda one: one.track_prediction("m", 0.1, success=True, prediction_id=7), "prediction_id: expected text of 1 to 256"),
    (lambda one: one.recorder(SeriesKey("acme", "production", "m/n", "1"), 0), "model: 'm/n' is not a name"),
    (lambda one: one.record_values("m", {"accuracy": 1}), "values: unknown metric 'accuracy'"),
    (lambda one: one.record_values("m", {"live.accuracy": float("nan")}), "values: live.accuracy is nan - give a finite number"),
    (lambda one: one.record_values("m", {"live.accuracy": "high"}), "values: live.accuracy is 'high'"),
    (lambda one: one.record_values("m", {"live.accuracy": None}), "values: live.accuracy is None"),
    (lambda one: one.record_values("m", 7), "values: expected a mapping of names to numbers, got int"),
    (lambda one: one.get_metrics("m", timedelta(0)), "time_window: 0:00:00 is no window"),
    (lambda one: one.get_metrics("m", timedelta(seconds=-1)), "is no window - give a length above zero"),
    (lambda one: one.get_metrics("m", 3600), "time_window: expected a timedelta, got int"),
    (lambda one: one.get_metrics("m", timedelta.max), "time_window: 999999999 days, 23:59:59.999999 reaches too far"),
    (lambda one: one.get_metrics("m", end=datetime(2024, 1, 1)), "end: 2024-01-01T00:00:00 has no time zone"),  # noqa: DTZ001  the mistake
    (lambda one: one.get_metrics("m", end="now"), "end: expected a datetime, got str"),
    (lambda one: one.get_metrics("a b"), "model: 'a b' is not a name"),
    (lambda one: one.check_health("m", timedelta(0)), "is no window"),
    (lambda one: one.evaluate(datetime(2024, 1, 1)), "now: 2024-01-01T00:00:00 has no time zone"),  # noqa: DTZ001  the mistake
    (lambda one: one.incidents("a b"), "model: 'a b' is not a name"),
]


@pytest.mark.parametrize(("call", "said"), NAMED)
def test_a_mistake_is_one_line_and_changes_nothing(monitoring: ModelMonitoring, call: Callable[[Any], object], said: str) -> None:
    monitoring.track_prediction("m", 0.1, success=True)
    with pytest.raises(MonitoringError) as caught:
        call(monitoring)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300
    metrics = monitoring.get_metrics("m")
    assert (metrics.total_predictions, metrics.total_errors, metrics.values) == (1, 0, {})


def test_a_tenant_that_is_no_name_is_refused(stack: Stack) -> None:
    with pytest.raises(MonitoringError, match="tenant: 'a/b' is not a name"):
        ModelMonitoring("a/b", stack=stack)


def test_without_a_sink_there_is_a_line_that_says_so(make: MakeStack) -> None:
    with pytest.raises(MonitoringError, match=r"monitoring\.sinks: there is none"):
        ModelMonitoring(stack=make(sinks={})).track_prediction("m", 0.1, success=True)


def test_without_a_sink_that_reads_only_counting_works(make: MakeStack) -> None:
    class WriteOnly(MemorySink):
        contract = 1
        capabilities = frozenset()

    with ModelMonitoring(stack=make(sinks={"blind": WriteOnly()})) as monitoring:
        monitoring.track_prediction("m", 0.1, success=True)
        monitoring.flush()
        with pytest.raises(MonitoringError, match=r"none can be read \(there are: blind\)"):
            monitoring.get_metrics("m")


def test_after_closing_nothing_is_counted(monitoring: ModelMonitoring) -> None:
    monitoring.track_prediction("m", 0.1, success=True)
    monitoring.close()
    monitoring.close()
    with pytest.raises(MonitoringError, match="it is closed"):
        monitoring.track_prediction("m", 0.1, success=True)
    assert monitoring.get_metrics("m").total_predictions == 1


def test_a_facade_nobody_holds_delivers_what_it_counted(stack: Stack, monitoring: ModelMonitoring) -> None:
    ModelMonitoring(stack=stack).track_prediction("m", 0.1, success=True)
    gc.collect()
    assert monitoring.get_metrics("m").total_predictions == 1


def test_the_end_of_the_program_delivers_what_was_counted(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from mlops_core.monitoring import ModelMonitoring
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.stack import make_stack

class Lines(MemorySink):
    contract = 1

    def write(self, segments):
        with open(Path(sys.argv[1]) / "counted", "a") as file:
            file.writelines(f"{one.total}\\n" for one in segments)

monitoring = ModelMonitoring(stack=make_stack(Path(sys.argv[1]), sinks={"lines": Lines()}))
for _ in range(1000):
    monitoring.track_prediction("m", 0.1, success=True)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert sum(map(int, (tmp_path / "counted").read_text().split())) == 1000


def test_draining_is_a_pass_of_its_own(monitoring: ModelMonitoring) -> None:
    assert monitoring.drain() == 0


def test_figures_beyond_every_sum_harm_no_other(monitoring: ModelMonitoring) -> None:
    for _ in range(2):
        monitoring.record_values("m", {"custom.a": 1e308, "custom.b": -1e308})
    with pytest.raises(MonitoringError, match="is no duration"):
        monitoring.track_prediction("m", 1e308, success=True)
    monitoring.track_prediction("m", 0.1, success=True)

    metrics = monitoring.get_metrics("m")
    assert metrics.total_predictions == 1
    assert metrics.values == {"custom.a": 1e308, "custom.b": -1e308}


@pytest.fixture
def sampled(make: MakeStack) -> Iterator[ModelMonitoring]:
    """Every prediction is sampled, but only two of its columns."""
    with ModelMonitoring(stack=make(sample=SampleSettings(("delay", "prediction"), rate=1.0))) as facade:
        yield facade


def rows_of(sink: MemorySink, environment: str = "default", version: str = "unversioned") -> list[Any]:
    series = SeriesKey("acme", environment, "m", version)
    found = sink.read(series, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    return [row for segment in found for row in segment.sample]


def test_features_are_kept_of_named_columns(sampled: ModelMonitoring, sink: MemorySink) -> None:
    features = {"delay": 12.5, "name": "planted-secret"}
    sampled.track_prediction("m", 0.1, success=True, prediction_id="p1", features=features, prediction=1)
    sampled.track_prediction("m", 0.1, success=True, features={"delay": 3})
    sampled.track_prediction("m", 0.1, success=True)
    sampled.flush()
    first, second = sorted(rows_of(sink), key=lambda row: row["features"]["delay"], reverse=True)
    assert first == {"prediction_id": "p1", "features": {"delay": 12.5}, "output": {"prediction": 1}, "share": 1.0}
    assert (second["features"], len(second["prediction_id"])) == ({"delay": 3}, 32)
    assert sampled.get_metrics("m").total_predictions == 3


def test_without_a_sample_features_are_not_kept(monitoring: ModelMonitoring, sink: MemorySink) -> None:
    monitoring.track_prediction("m", 0.1, success=True, prediction_id="p1", features={"delay": 12.5})
    monitoring.flush()
    assert rows_of(sink) == []


def test_what_are_no_features_is_one_line(sampled: ModelMonitoring) -> None:
    with pytest.raises(MonitoringError, match=r"^features: expected values by column, got list"):
        sampled.track_prediction("m", 0.1, success=True, features=[1, 2])  # type: ignore[arg-type]  # wrong on purpose


def test_purging_erases_rows_and_no_counts(sampled: ModelMonitoring, sink: MemorySink, clock: FakeClock) -> None:
    for name in ("p1", "p2"):
        sampled.track_prediction("m", 0.1, success=True, prediction_id=name, features={"delay": 1})
    assert sampled.purge(ids=["p1"]) == 1
    assert [row["prediction_id"] for row in rows_of(sink)] == ["p2"]
    clock.advance(60)
    sampled.track_prediction("m", 0.1, success=True, prediction_id="p3", features={"delay": 1})
    assert sampled.purge(before=clock.now() - timedelta(seconds=30)) == 1
    assert [row["prediction_id"] for row in rows_of(sink)] == ["p3"]
    assert sampled.get_metrics("m").total_predictions == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "purge: nothing is named - give before= or ids="),
        ({"before": datetime(2024, 1, 1)}, "before: .* has no"),  # noqa: DTZ001  without a zone on purpose
        ({"ids": [""]}, "prediction_id: expected text of 1 to 256 characters"),
        ({"ids": [5]}, "prediction_id: expected text"),
    ],
)
def test_a_wrong_purge_is_one_line(sampled: ModelMonitoring, options: Any, told: str) -> None:
    with pytest.raises(MonitoringError, match=told):
        sampled.purge(**options)


def test_a_sink_that_cannot_erase_is_named(sampled: ModelMonitoring, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> int:
        raise OSError("no route to host")

    monkeypatch.setattr(MemorySink, "purge", away)
    with pytest.raises(MonitoringError, match="sink memory: cannot erase: no route to host"):
        sampled.purge(ids=["p1"])


def test_figures_are_rolled_up(monitoring: ModelMonitoring, sink: MemorySink, clock: FakeClock) -> None:
    for _ in range(10):
        clock.advance(0.05)
        monitoring.track_prediction("m", 0.1, success=True)
        monitoring.flush()
    clock.advance(120)
    assert monitoring.roll_up() == 10
    assert len(list(sink.read(SeriesKey("acme", "default", "m"), clock.now() - HOUR, clock.now()))) == 1
    assert monitoring.get_metrics("m").total_predictions == 10
    assert monitoring.roll_up(clock.now() + timedelta(days=3 * 365)) > 0
    assert monitoring.get_metrics("m", timedelta(days=1)).total_predictions == 0


def test_a_sink_that_cannot_merge_is_named(monitoring: ModelMonitoring, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> object:
        raise OSError("no route to host")

    monkeypatch.setattr(MemorySink, "series", away)
    with pytest.raises(MonitoringError, match="sink memory: cannot merge: no route to host"):
        monitoring.roll_up()


def test_a_purge_leaves_nothing_in_the_spool(sampled: ModelMonitoring, tmp_path: Path) -> None:
    sampled.track_prediction("m", 0.1, success=True, prediction_id="victim", features={"delay": "PLANTED-VALUE"})
    sampled.flush()
    assert sampled.purge(ids=["victim"]) == 1
    deadline = time.monotonic() + 60
    while any(b"PLANTED-VALUE" in file.read_bytes() for file in tmp_path.rglob("*.spool")):
        assert time.monotonic() < deadline, "what was purged is still in the spool"
        time.sleep(0.05)
    sampled.track_prediction("m", 0.1, success=True)
    assert sampled.get_metrics("m").total_predictions == 2


def test_what_is_sampled_stays_in_a_spool_for_an_hour_at_most(sampled: ModelMonitoring, clock: FakeClock, tmp_path: Path) -> None:
    sampled.track_prediction("m", 0.1, success=True, features={"delay": "PLANTED-VALUE"})
    sampled.flush()
    clock.advance(3601)
    deadline = time.monotonic() + 10
    while any(b"PLANTED-VALUE" in file.read_bytes() for file in tmp_path.rglob("*.spool")):
        assert time.monotonic() < deadline, "the spool is not succeeded by a new one"
        time.sleep(0.05)


class Dead(MonitorSink):
    """Takes nothing, and cannot be read."""

    contract = 1

    def write(self, segments: object) -> None:
        raise OSError("no route to host")


def test_a_purge_erases_what_it_can_while_another_sink_is_away(make: MakeStack, sink: MemorySink) -> None:
    stack = make(sinks={"memory": sink, "dead": Dead()}, sample=SampleSettings(("delay",), 1.0))
    monitoring = ModelMonitoring(stack=stack)
    monitoring.track_prediction("m", 0.1, success=True, prediction_id="p1", features={"delay": 1})
    with pytest.raises(MonitoringError, match=r"^purge: 1 rows are erased, but not those in spools: sink dead: .* no route to host"):
        monitoring.purge(ids=["p1"])
    assert rows_of(sink) == []


def test_wrong_features_are_told_before_anything_is_counted(sampled: ModelMonitoring) -> None:
    with pytest.raises(MonitoringError, match=r"^features: expected"):
        sampled.track_prediction("m", 0.1, success=True, features=[1])  # type: ignore[arg-type]  # wrong on purpose
    assert sampled.get_metrics("m").total_predictions == 0


def test_only_what_just_reached_an_age_is_looked_at(monitoring: ModelMonitoring, clock: FakeClock) -> None:
    clock.advance(0.5)
    monitoring.track_prediction("m", 0.1, success=True)
    monitoring.flush()
    clock.advance(3 * 3600)
    assert monitoring.roll_up(recent=timedelta(minutes=10)) == 0
    assert monitoring.roll_up() > 0
