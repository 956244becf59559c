"""The passes of every project, over all of its tenants."""

from datetime import timedelta

import pytest
from attrs import evolve

from mlops_core.config.settings import AlertRule, MonitoringSettings, Settings
from mlops_core.exceptions import MLOpsError, MonitoringError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.operations import ControlLoop, Upkeep
from mlops_core.records import NewEntry
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.registry_samples import put

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
