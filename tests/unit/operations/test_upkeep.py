"""The passes of every project, over all of its tenants."""

from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from mlops_core.artifacts import Artifacts
from mlops_core.config.settings import AlertRule, DriftSettings, MonitoringSettings, SampleSettings, ScheduleSettings, Settings
from mlops_core.drift import DriftSchedule, Reference
from mlops_core.drift.schedule import DueCheck
from mlops_core.exceptions import DriftDetectionError, MLOpsError, MonitoringError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.operations import ControlLoop, Upkeep
from mlops_core.records import ModelVersion, NewEntry, Segment, SeriesKey
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.registry_samples import put
from mlops_drift_ks import KolmogorovSmirnov

RULE = AlertRule("errors", "error_rate > 0.5")


@pytest.fixture
def watched(stack: Stack) -> Stack:
    """A project with an alert rule and two tenants, each with a model that fails."""
    found = evolve(stack, settings=Settings(monitoring=MonitoringSettings(alerts=(RULE,))))
    found.parts.registry.append("other", "versions/m", 0, NewEntry(at=stack.clock.now(), kind="noted"))
    for tenant in ("acme", "other"):
        with ModelMonitoring(tenant, stack=found) as monitoring:
            monitoring.track_prediction("m", 0.1, success=False)
    return found


def test_every_tenant_is_evaluated(watched: Stack) -> None:
    upkeep = Upkeep(watched)
    assert upkeep.tenants() == ["acme", "other"]
    loop = ControlLoop(watched, upkeep.passes())
    loop.turn()
    assert [(one.name, one.error) for one in loop.status().passes if one.error] == []
    for tenant in ("acme", "other"):
        assert [one.rule for one in upkeep.facade(ModelMonitoring, tenant).incidents()] == ["errors"]
    loop.release()
    upkeep.close()


def test_a_tenant_that_only_monitors_is_evaluated(watched: Stack) -> None:
    with ModelMonitoring("tenant_123", stack=watched) as monitoring:
        monitoring.track_prediction("m", 0.1, success=False)
    upkeep = Upkeep(watched)
    assert upkeep.tenants() == ["acme", "other"]
    assert upkeep.measured() == ["acme", "other", "tenant_123"]
    {one.name: one for one in upkeep.passes()}["monitoring.evaluate"].call()
    assert [one.rule for one in upkeep.facade(ModelMonitoring, "tenant_123").incidents()] == ["errors"]
    upkeep.close()


def test_a_sink_that_is_away_hides_no_tenant_of_the_registry(
    watched: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_: MemorySink) -> object:
        raise OSError("no route to host")

    monkeypatch.setattr(MemorySink, "tenants", away)
    assert Upkeep(watched).measured() == ["acme", "other"]
    assert "sink memory: does not tell whose predictions it has: OSError: no route to host" in caplog.text


@pytest.mark.parametrize(
    ("raised", "said"), [(MonitoringError("sink: away"), "sink: away"), (KeyError("a bug"), "KeyError: 'a bug'")], ids=["told", "foreign"]
)
def test_a_tenant_that_fails_is_named_and_stops_no_other(
    watched: Stack, monkeypatch: pytest.MonkeyPatch, raised: Exception, said: str
) -> None:
    evaluate = ModelMonitoring.evaluate

    def failing(self: ModelMonitoring) -> object:
        if self.tenant_id == "acme":
            raise raised
        return evaluate(self)

    monkeypatch.setattr(ModelMonitoring, "evaluate", failing)
    upkeep = Upkeep(watched)
    passes = {one.name: one for one in upkeep.passes()}
    with pytest.raises(MLOpsError, match=f"^tenant acme: {said}$"):
        passes["monitoring.evaluate"].call()
    assert len(upkeep.facade(ModelMonitoring, "other").incidents()) == 1
    upkeep.close()


def test_leftovers_of_every_tenant_are_swept(stack: Stack, clock: FakeClock) -> None:
    store = stack.parts.registry
    put(store, b"no version yet", "newcomer")
    clock.advance(25 * 3600)
    upkeep = Upkeep(stack)
    {one.name: one for one in upkeep.passes()}["versioning.sweep"].call()
    upkeep.close()
    assert list(store.leftovers(timedelta(0))) == []


def test_a_tenant_keeps_its_facade(watched: Stack) -> None:
    upkeep = Upkeep(watched)
    assert upkeep.facade(ModelMonitoring, "acme") is upkeep.facade(ModelMonitoring, "acme")
    upkeep.close()


def test_every_pass_comes_round(watched: Stack) -> None:
    assert all(timedelta(0) < one.every <= timedelta(hours=1) for one in Upkeep(watched).passes())


@pytest.fixture
def scheduled(stack: Stack, clock: FakeClock) -> Stack:
    """A project with a daily check of drift, and a model in each of two environments that was sampled yesterday."""
    tested = stack.replacing(drift_tests={"ks": KolmogorovSmirnov()})
    monitoring = MonitoringSettings(sample=SampleSettings(("x",)))
    found = evolve(tested, settings=Settings(monitoring=monitoring, drift=DriftSettings(schedule=ScheduleSettings())))
    sample = tuple({"prediction_id": str(number), "features": {"x": float(number)}} for number in range(50))
    start = clock.now() - timedelta(hours=6)
    for number, environment in enumerate(("production", "staging")):
        series = SeriesKey("acme", environment, "m", "1")
        found.parts.sinks["memory"].write([Segment(series, start, start + timedelta(minutes=1), "w", number + 1, total=50, sample=sample)])
    clock.advance(60)
    return found


def test_without_a_schedule_there_is_no_pass_for_drift(stack: Stack) -> None:
    assert "drift.check" not in {one.name for one in Upkeep(stack).passes()}


def test_drift_is_checked_recorded_and_written_down(scheduled: Stack, tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    Reference.fit({"x": [float(number) for number in range(30, 90)]}, {"ks": KolmogorovSmirnov()}).save(path)
    artifacts = {"reference": Artifacts(scheduled).save_file(path, "reference")}
    version = ModelVersion("acme", "m", "1", "d", "1", (), scheduled.clock.now(), artifacts=artifacts)
    scheduled.parts.registry.add_version(version)
    upkeep = Upkeep(scheduled)
    loop = ControlLoop(scheduled, upkeep.passes())
    loop.turn()
    assert [one.error for one in loop.status().passes if one.error] == []
    monitoring = upkeep.facade(ModelMonitoring, "acme")
    for environment in ("production", "staging"):
        figures = monitoring.get_metrics(
            "m", timedelta(minutes=1), environment=environment, end=scheduled.clock.now() + timedelta(seconds=1)
        )
        assert dict(figures.values) == {"drift.detected": 1.0, "drift.p_value": pytest.approx(0, abs=1e-3), "drift.columns": 1.0}
    assert [(one.environment, one.versions["1"]["drift_detected"]) for one in DriftSchedule(scheduled).latest()] == [
        ("production", True),
        ("staging", True),
    ]
    loop.release()
    upkeep.close()


def test_a_model_that_cannot_be_checked_is_told_and_stops_no_other(
    scheduled: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    check = DriftSchedule.check

    def failing(self: DriftSchedule, due: DueCheck) -> object:
        if due.environment == "production":
            raise DriftDetectionError("sink: away")
        return check(self, due)

    monkeypatch.setattr(DriftSchedule, "check", failing)
    upkeep = Upkeep(scheduled)
    with pytest.raises(MLOpsError, match=r"^tenant acme: m in production: sink: away$"):
        {one.name: one for one in upkeep.passes()}["drift.check"].call()
    assert "drift of m in staging is not checked: drift: there is no version '1' of model 'm'" in caplog.text
    assert [one.environment for one in DriftSchedule(scheduled).latest()] == ["staging"]
    upkeep.close()


def test_what_was_sampled_is_erased_when_its_retention_ends(stack: Stack, clock: FakeClock) -> None:
    sampling = evolve(stack, settings=Settings(monitoring=MonitoringSettings(sample=SampleSettings(("x",), 1.0, timedelta(days=2)))))
    sink = stack.parts.sinks["memory"]
    for tenant in ("acme", "other"):
        with ModelMonitoring(tenant, stack=sampling) as monitoring:
            for _ in range(3):
                monitoring.track_prediction("m", 0.1, success=True, features={"x": 1.0})
                monitoring.flush()
                clock.advance(24 * 3600)
    upkeep = Upkeep(sampling)
    {one.name: one for one in upkeep.passes()}["monitoring.purge"].call()
    upkeep.close()
    for tenant, kept in (("acme", 0), ("other", 1)):  # those of the other tenant are three days younger; what lies on the bound goes
        segments = sink.read(SeriesKey(tenant, "default", "m"), clock.now() - timedelta(days=30), clock.now())
        assert [len(segment.sample) for segment in segments] == [*[0] * (3 - kept), *[1] * kept]


def test_what_was_sampled_is_erased_once_nothing_is_sampled_any_more(stack: Stack, clock: FakeClock) -> None:
    sampling = evolve(stack, settings=Settings(monitoring=MonitoringSettings(sample=SampleSettings(("x",), 1.0))))
    with ModelMonitoring(stack=sampling) as monitoring:
        monitoring.track_prediction("m", 0.1, success=True, features={"x": 1.0})
    clock.advance(1)
    upkeep = Upkeep(stack)
    {one.name: one for one in upkeep.passes()}["monitoring.purge"].call()
    upkeep.close()
    (segment,) = stack.parts.sinks["memory"].read(SeriesKey("acme", "default", "m"), clock.now() - timedelta(days=1), clock.now())
    assert (segment.total, segment.sample) == (1, ())


def test_a_rule_sees_the_version_that_drifted(scheduled: Stack, tmp_path: Path, clock: FakeClock) -> None:
    """Two versions answer side by side, and the one that is recorded last did not drift."""
    sample = tuple({"prediction_id": str(number), "features": {"x": float(number)}} for number in range(50))
    start = clock.now() - timedelta(hours=6)
    series = SeriesKey("acme", "production", "m", "2")
    scheduled.parts.sinks["memory"].write([Segment(series, start, start + timedelta(minutes=1), "w", 9, total=50, sample=sample)])
    for version, values in (("1", range(30, 90)), ("2", range(50))):
        path = tmp_path / f"{version}.npz"
        Reference.fit({"x": [float(number) for number in values]}, {"ks": KolmogorovSmirnov()}).save(path)
        artifacts = {"reference": Artifacts(scheduled).save_file(path, "reference")}
        scheduled.parts.registry.add_version(ModelVersion("acme", "m", version, version, version, (), clock.now(), artifacts=artifacts))
    rule = AlertRule("drift", "drift.detected > 0", environment="production", window=timedelta(days=1))
    ruled = evolve(scheduled, settings=evolve(scheduled.settings, monitoring=MonitoringSettings(alerts=(rule,))))
    upkeep = Upkeep(ruled)
    passes = {one.name: one for one in upkeep.passes()}
    passes["drift.check"].call()
    (last, _) = DriftSchedule(scheduled).latest()
    assert [found["drift_detected"] for found in last.versions.values()] == [True, False]
    clock.advance(1)
    passes["monitoring.evaluate"].call()
    assert [one.rule for one in upkeep.facade(ModelMonitoring, "acme").incidents()] == ["drift"]
    upkeep.close()
