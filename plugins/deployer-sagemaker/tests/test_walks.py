"""Through the states of an endpoint, and back from where things went wrong."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_core.exceptions import ConflictError, DeploymentError
from mlops_core.records import HealthStatus, Variant
from mlops_deployer_sagemaker.hosting import Hosting


def serve(rig: Any, *versions: str) -> Any:
    """Load versions and route the first."""
    for name in versions:
        rig.load(name)
    rig.route((versions[0], 1.0))
    return rig


def test_new_routes_are_applying_until_the_endpoint_is_in_service(rig: Any) -> None:
    rig.load("1.0.0")
    rig.begin(("1.0.0", 1.0))
    assert (rig.seen.operation, rig.seen.detail, rig.seen.revision) == ("applying", {"server": "Creating"}, 1)
    with pytest.raises(DeploymentError, match="endpoint staging/delays: nothing is deployed here"):
        rig.ask(rig.endpoint)
    rig.clock.advance(240)
    assert (rig.seen.operation, rig.seen.detail) == ("applied", {"server": "InService"})
    assert rig.again().observe(rig.endpoint) == rig.seen


@pytest.mark.parametrize(
    ("kind", "outcome", "said"),
    [
        (
            "create",
            ("Failed", "The container did not pass the ping health check."),
            "the endpoint is Failed: The container did not pass the",
        ),
        ("create", ("OutOfService", "no"), "the endpoint is OutOfService: no"),
    ],
)
def test_an_endpoint_that_does_not_start_says_why_and_is_made_anew(rig: Any, kind: str, outcome: tuple[str, str], said: str) -> None:
    rig.load("1.0.0")
    rig.cloud.faults[kind].append(outcome)
    rig.begin(("1.0.0", 1.0))
    rig.clock.advance(240)
    assert (rig.seen.operation, rig.seen.detail["reason"].startswith(said)) == ("failed", True)
    assert rig.deployer.health(rig.endpoint, "1.0.0").status is HealthStatus.UNHEALTHY

    rig.route(("1.0.0", 1.0))
    assert rig.cloud.made()[-2:] == ["DeleteEndpoint", "CreateEndpoint"]
    assert (rig.ask(rig.endpoint), rig.seen.revision) == ("1.0.0", 2)


def test_an_update_that_sagemaker_takes_back_has_failed_and_the_old_version_answers(rig: Any) -> None:
    serve(rig, "1.0.0", "2.0.0")
    rig.cloud.faults["update"].append(("RollingBack", "An alarm rang."))
    rig.begin(("2.0.0", 1.0))
    rig.clock.advance(200)
    assert (rig.seen.operation, rig.seen.detail["server"], rig.ask(rig.endpoint)) == ("applying", "RollingBack", "1.0.0")
    rig.clock.advance(60)

    assert rig.seen.operation == "failed"
    assert rig.seen.detail["reason"].startswith("the endpoint did not take the change: it has configuration delays-staging-")
    assert ([one.version for one in rig.seen.routes], rig.ask(rig.endpoint)) == (["2.0.0"], "1.0.0")
    rig.cloud.calls.clear()
    rig.deployer.set_routes(rig.endpoint, rig.seen.previous, None, 2)
    assert (rig.cloud.made("Update", "CreateE"), rig.seen.operation, rig.seen.revision) == ([], "applied", 3)


def test_an_update_and_its_rollback_that_both_fail_are_told_and_can_be_mended(rig: Any) -> None:
    serve(rig, "1.0.0", "2.0.0")
    rig.cloud.faults["update"].append(("UpdateRollbackFailed", "No instance is left."))
    rig.begin(("2.0.0", 1.0))
    rig.clock.advance(180)

    assert (rig.seen.operation, rig.seen.detail["reason"]) == ("failed", "the endpoint is UpdateRollbackFailed: No instance is left.")
    rig.route(("2.0.0", 1.0))
    assert rig.ask(rig.endpoint) == "2.0.0"


@pytest.mark.parametrize("shadow", [None, "3.0.0"])
def test_instances_of_two_configurations_are_replaced_also_where_the_endpoint_looks_right(rig: Any, shadow: str | None) -> None:
    serve(rig, "1.0.0", "2.0.0", "3.0.0")
    rig.route(("1.0.0", 1.0), shadow=shadow)
    before = rig.cloud.endpoints[rig.name].config
    rig.cloud.faults["update"] += [("UpdateRollbackFailed", "No instance is left.")] * 2
    rig.begin(("2.0.0", 1.0))
    rig.clock.advance(180)
    rig.begin(("1.0.0", 1.0), shadow=shadow)
    rig.clock.advance(180)

    assert (rig.seen.operation, rig.seen.detail["server"]) == ("failed", "UpdateRollbackFailed")
    rig.cloud.calls.clear()
    rig.route(("1.0.0", 1.0), shadow=shadow)
    assert rig.cloud.made("Update", "CreateE") == ["CreateEndpointConfig", "UpdateEndpoint"]
    assert (rig.seen.detail["server"], rig.ask(rig.endpoint)) == ("InService", "1.0.0")
    assert rig.cloud.endpoints[rig.name].config != before


def test_a_version_that_kept_its_name_and_was_taken_back_has_failed(make_rig: Any) -> None:
    """Nothing but the configuration tells the two versions apart."""
    rig = serve(make_rig(guardrails="canary", alarms=("errors",)), "1.0.0", "2.0.0")
    rig.cloud.faults["update"].append(("RollingBack", "An alarm rang."))
    rig.begin(("2.0.0", 1.0))
    rig.clock.advance(300)

    assert (rig.seen.operation, rig.ask(rig.endpoint), len(rig.cloud.deployments)) == ("failed", "1.0.0", 1)
    assert rig.deployer.observe(rig.endpoint, since=2).counters == ()


def test_weights_that_do_not_change_have_failed(rig: Any) -> None:
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 0.9), ("2.0.0", 0.1))
    rig.cloud.faults["weights"].append(("RollingBack", "busy"))
    rig.begin(("1.0.0", 1.0))
    rig.clock.advance(120)
    assert (rig.seen.operation, rig.seen.detail["reason"].split(" - ")[0]) == (
        "failed",
        "the endpoint did not take the change: its variants have other weights",
    )


def test_a_rollback_waits_for_the_update_that_it_cannot_interrupt(rig: Any) -> None:
    serve(rig, "1.0.0", "2.0.0")
    rig.begin(("2.0.0", 1.0))
    begun = rig.clock.monotonic()
    rig.deployer.set_routes(rig.endpoint, rig.seen.previous, None, 2)

    assert 180 <= rig.clock.monotonic() - begun < 200
    assert rig.seen.operation == "applying"
    rig.settle()
    assert (rig.ask(rig.endpoint), rig.cloud.made("Update")) == ("1.0.0", ["UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"])


def test_waiting_ends(make_rig: Any) -> None:
    rig = make_rig(patience=60)
    serve(rig, "1.0.0", "2.0.0")
    rig.begin(("2.0.0", 1.0))
    with pytest.raises(
        DeploymentError, match=r"endpoint delays-staging-\w+ is Updating after 60 s - see the console, or give more patience"
    ):
        rig.begin(("1.0.0", 1.0))
    assert (rig.seen.revision, [one.version for one in rig.seen.routes]) == (2, ["2.0.0"])


def test_an_update_that_another_began_between_is_waited_for(rig: Any) -> None:
    """SageMaker's own maintenance begins between the look and the call."""
    serve(rig, "1.0.0", "2.0.0")
    rig.cloud.refuse("UpdateEndpoint", "ValidationException", "Cannot update in-progress endpoint.")
    rig.route(("2.0.0", 1.0))
    assert rig.ask(rig.endpoint) == "2.0.0"


def test_an_answer_that_was_lost_is_not_taken_for_another_writer(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore sends the call again: the record is there already, and the endpoint is busy with this very change."""
    serve(rig, "1.0.0", "2.0.0")
    put, update = type(rig.cloud)._put_object, type(rig.cloud)._update_endpoint  # noqa: SLF001  the service's side

    def twice(call: Any) -> Any:
        def made(*arguments: Any, **named: Any) -> Any:
            call(*arguments, **named)
            return call(*arguments, **named)

        return made

    monkeypatch.setattr(type(rig.cloud), "_put_object", twice(put))
    monkeypatch.setattr(type(rig.cloud), "_update_endpoint", twice(update))
    assert rig.route(("2.0.0", 1.0)) == 2
    assert (rig.ask(rig.endpoint), rig.cloud.made("Update")) == ("2.0.0", ["UpdateEndpoint"])


def test_who_comes_second_conflicts_and_calls_for_nothing(rig: Any) -> None:
    serve(rig, "1.0.0", "2.0.0")
    rig.cloud.calls.clear()
    other, wait = rig.again(), Hosting.ready

    def meanwhile(self: Any, *arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Hosting, "ready", wait)
            other.set_routes(rig.endpoint, (Variant("3-1.0.0", "1.0.0", 1.0),), None, 1)
        return wait(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hosting, "ready", meanwhile)
        with pytest.raises(ConflictError) as raised:
            rig.begin(("2.0.0", 1.0), revision=1)
    assert (raised.value.head, rig.seen.revision) == (2, 2)
    assert [one.name for one in rig.seen.routes] == ["3-1.0.0"]
    assert rig.cloud.made("Update", "CreateE") == []


def test_a_change_that_is_overtaken_is_not_made_late(rig: Any) -> None:
    """Between its record and its call the routes are moved by another, and the endpoint is busy with that."""
    serve(rig, "1.0.0", "2.0.0")
    rig.cloud.refuse("UpdateEndpoint", "ValidationException", "Cannot update in-progress endpoint.")
    other = rig.again()
    ready, times = Hosting.ready, iter(range(10))

    def overtaken(self: Any, *arguments: Any) -> Any:
        if next(times) == 1:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Hosting, "ready", ready)
                other.set_routes(rig.endpoint, (Variant("3-1.0.0", "1.0.0", 1.0),), None, 2)
        return ready(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hosting, "ready", overtaken)
        with pytest.raises(ConflictError):
            rig.begin(("2.0.0", 1.0))
    assert (rig.seen.revision, rig.seen.operation, rig.ask(rig.endpoint)) == (3, "applied", "1.0.0")


@pytest.mark.parametrize("operation", ["CreateEndpointConfig", "CreateEndpoint"])
def test_a_death_between_the_record_and_its_calls_is_seen_and_mended(rig: Any, operation: str) -> None:
    rig.load("1.0.0")
    rig.cloud.refusals[operation].append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        rig.begin(("1.0.0", 1.0))
    assert (rig.seen.revision, rig.seen.operation) == (1, "applying")
    rig.clock.advance(31)
    assert (rig.seen.operation, rig.seen.detail["reason"].split(" - ")[0]) == ("failed", "the endpoint is not there")
    rig.again().set_routes(rig.endpoint, rig.seen.routes, None, 1)
    rig.settle()
    assert rig.ask(rig.endpoint) == "1.0.0"


def test_a_death_between_the_model_and_its_answer_fails_no_retry(rig: Any) -> None:
    version = rig.version("1.0.0")
    rig.cloud.refusals["CreateModel"].append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        rig.deployer.load(rig.endpoint, version, rig.context)
    assert list(rig.context.workdir.iterdir()) == []
    rig.deployer.load(rig.endpoint, version, rig.context)
    assert sum(name == "PutObject" and arguments["Key"].endswith(".gz") for name, arguments in rig.cloud.calls) == 1

    record = next(key for key in rig.cloud.objects if key.endswith("endpoint.json"))
    del rig.cloud.objects[record]  # as if the process had died before it wrote
    rig.again().load(rig.endpoint, version, rig.context)
    assert (rig.seen.loaded, len(rig.cloud.models)) == (("1.0.0",), 1)


def test_another_image_makes_another_model_and_the_next_routes_take_it(rig: Any, make_rig: Any) -> None:
    serve(rig, "1.0.0")
    newer = make_rig(image_uri="123456789012.dkr.ecr.eu-central-1.amazonaws.com/serving:2")
    newer.load("1.0.0")
    newer.route(("1.0.0", 1.0))
    (first, *_) = newer.cloud.last("CreateEndpointConfig")["ProductionVariants"]
    assert newer.cloud.models[first["ModelName"]]["PrimaryContainer"]["Image"].endswith(":2")


@pytest.mark.parametrize("eager", [False, True])
def test_what_is_released_leaves_the_endpoint_first(rig: Any, eager: bool) -> None:  # noqa: FBT001
    rig.cloud.eager = eager
    serve(rig, "1.0.0", "2.0.0")
    rig.route(("2.0.0", 1.0))
    rig.deployer.unload(rig.endpoint, "1.0.0")
    assert (rig.seen.loaded, rig.seen.revision, rig.seen.operation) == (("1.0.0", "2.0.0"), 2, "applying")
    rig.deployer.unload(rig.endpoint, "1.0.0")
    assert len(rig.cloud.models) == 2, "the old instances may still need it"
    rig.settle()
    rig.deployer.unload(rig.endpoint, "1.0.0")

    assert (rig.seen.loaded, len(rig.cloud.models), len(rig.cloud.configs)) == (("2.0.0",), 1, 1)
    assert sorted(key.rpartition("/")[2] for key in rig.cloud.objects) == ["endpoint.json", "model.tar.gz"]
    assert (rig.ask(rig.endpoint), list(rig.cloud.endpoints[rig.name].weights.values())) == ("2.0.0", [1.0])
    assert [one.version for one in rig.seen.previous] == ["1.0.0"]


def test_a_withdrawn_endpoint_is_deleted_and_comes_back(rig: Any) -> None:
    serve(rig, "1.0.0")
    rig.begin()
    assert (rig.seen.operation, rig.cloud.made()[-1]) == ("applying", "DeleteEndpoint")
    rig.settle()
    assert (rig.cloud.endpoints, rig.seen.routes, rig.seen.loaded) == ({}, (), ("1.0.0",))
    rig.route(("1.0.0", 1.0))
    assert (rig.ask(rig.endpoint), rig.seen.revision) == ("1.0.0", 3)


def test_a_shutdown_deletes_every_endpoint_of_its_environment_and_no_other(rig: Any, make_rig: Any, other: Any) -> None:
    serve(rig, "1.0.0")
    rig.load("1.0.0", other)
    rig.route(("1.0.0", 1.0), endpoint=other)
    rig.again().shutdown()

    assert rig.cloud.endpoints == {}
    assert (rig.seen.detail, rig.seen.operation, rig.seen.loaded, len(rig.cloud.models)) == ({"server": "stopped"}, "applied", (), 2)
    begun = rig.clock.monotonic()
    rig.load("1.0.0")
    assert rig.clock.monotonic() - begun >= 240, "it returns when the endpoint answers"
    assert (rig.ask(rig.endpoint), rig.seen.revision, list(rig.cloud.endpoints)) == ("1.0.0", 1, [rig.name])


def test_a_shutdown_that_was_cut_off_shows_what_still_costs_and_can_be_repeated(rig: Any) -> None:
    serve(rig, "1.0.0")
    rig.cloud.refusals["DeleteEndpoint"].append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        rig.deployer.shutdown()
    assert rig.seen.detail == {"server": "stopped", "endpoint": "InService"}
    rig.deployer.shutdown()
    assert (rig.seen.detail, rig.cloud.endpoints) == ({"server": "stopped"}, {})


def test_an_endpoint_that_does_not_start_again_is_told(rig: Any) -> None:
    serve(rig, "1.0.0")
    rig.deployer.shutdown()
    rig.cloud.faults["create"].append(("Failed", "No instance is left."))
    with pytest.raises(DeploymentError, match=r"the endpoint of delays did not start again: the endpoint is Failed: No instance is left\."):
        rig.load("1.0.0")


def test_an_endpoint_that_somebody_deleted_is_seen(rig: Any) -> None:
    serve(rig, "1.0.0")
    rig.clock.advance(60)
    rig.cloud.endpoints.clear()
    assert (rig.seen.operation, rig.seen.detail["server"]) == ("failed", "none")
    assert rig.deployer.health(rig.endpoint, "1.0.0").detail == "its endpoint is gone"


def test_maintenance_by_sagemaker_is_no_change_of_routes(rig: Any) -> None:
    serve(rig, "1.0.0")
    rig.cloud.endpoints[rig.name].status = "SystemUpdating"
    assert (rig.seen.operation, rig.deployer.health(rig.endpoint, "1.0.0").status) == ("applied", HealthStatus.HEALTHY)
