"""The journaled state of an endpoint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from mlops_core.deployment.endpoint import EndpointState, create, deployment_id, forget, move, planned, renewed, replaced
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import EndpointKey, Rollout, Served, ShadowRun, Variant

KEY = EndpointKey("acme", "production", "delays")
NOW = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WAY = (S.LOADING, S.WARMING, S.READY, S.PROMOTING)


def add(state: EndpointState, version: str, rollout: Rollout | None = None) -> EndpointState:
    return create(state, KEY, {version: 1.0}, now=NOW, key="", rollout=rollout)


def live(state: EndpointState, version: str) -> EndpointState:
    state = add(state, version)
    for status in WAY:
        state = move(state, state.number, status, now=NOW, weight=1.0 if status is S.PROMOTING else 0.0)
    return move(state, state.number, S.LIVE, now=NOW, revision=state.revision + 1, window=HOUR)


def canary(state: EndpointState, version: str, weight: float) -> EndpointState:
    state = add(state, version, Rollout((weight, 1.0), HOUR, 1, HOUR))
    for status in WAY[:3]:
        state = move(state, state.number, status, now=NOW)
    return move(state, state.number, S.CANARY, now=NOW, weight=weight, revision=state.revision + 1)


def test_an_id_names_the_endpoint() -> None:
    assert deployment_id(KEY, 3) == "production/delays/3"


def test_what_goes_live_takes_everything_and_supersedes() -> None:
    state = live(live(EndpointState(), "a"), "b")

    assert [one.status for one in state.deployments] == [S.DRAINING, S.LIVE]
    assert [one.weight for one in state.deployments] == [0.0, 1.0]
    assert state.get(1).retire_at == NOW + HOUR
    assert state.get(1).reason == "superseded by production/delays/2"
    assert (state.get(1).replaced, state.get(2).replaced) == (None, 1)
    assert planned(state) == (Variant("2-b", "b", 1.0),)
    assert state.revision == 2


def test_a_canary_takes_its_share_from_the_live_one() -> None:
    state = canary(live(EndpointState(), "a"), "b", 0.25)

    assert [one.weight for one in state.deployments] == [0.75, 0.25]
    assert planned(state) == (Variant("1-a", "a", 0.75), Variant("2-b", "b", 0.25))
    assert state.open is not None
    assert state.open.number == 2


def test_a_canary_that_is_rolled_back_gives_its_share_back() -> None:
    state = move(canary(live(EndpointState(), "a"), "b", 0.25), 2, S.ROLLED_BACK, now=NOW)

    assert [one.weight for one in state.deployments] == [1.0, 0.0]
    assert planned(state) == (Variant("1-a", "a", 1.0),)
    assert state.open is None


def test_an_endpoint_changes_by_one_deployment_at_a_time() -> None:
    with pytest.raises(DeploymentError, match="deployment production/delays/1: is pending, and an endpoint changes by one"):
        add(add(EndpointState(), "a"), "b")


def test_an_edge_that_is_not_there_changes_nothing() -> None:
    state = add(EndpointState(), "a")
    with pytest.raises(DeploymentError, match="cannot go from pending to live"):
        move(state, 1, S.LIVE, now=NOW)
    with pytest.raises(DeploymentError, match="deployment 7: there is none of that number"):
        move(state, 7, S.LOADING, now=NOW)


def test_the_newest_that_are_over_are_kept_and_numbers_go_on() -> None:
    state = EndpointState()
    for _ in range(20):
        state = move(add(state, "a"), state.number + 1, S.FAILED, now=NOW)
    state = live(state, "b")

    assert [one.number for one in state.deployments] == [13, 14, 15, 16, 17, 18, 19, 20, 21]
    assert state.find(12) is None


def test_a_lost_deployer_counts_anew_and_an_open_canary_with_it() -> None:
    state = forget(canary(live(EndpointState(), "a"), "b", 0.25), 0)

    assert state.revision == 0
    assert state.open is not None
    assert state.open.rollout is not None
    assert (state.open.rollout.first_revision, state.open.rollout.step_revision) == (0, 0)


def test_a_shadow_is_over_once_its_canary_is_confirmed() -> None:
    state = create(
        live(EndpointState(), "a"), KEY, {"b": 1.0}, now=NOW, shadow=ShadowRun(NOW, 2), rollout=Rollout((0.1, 1.0), HOUR, 1, HOUR)
    )
    for status in (*WAY[:3], S.SHADOW):
        state = move(state, 2, status, now=NOW)
    state = move(state, 2, S.CANARY, now=NOW + HOUR, confirmed=False, weight=0.1)
    assert state.get(2).shadow == ShadowRun(NOW, 2)
    state = move(state, 2, S.CANARY, now=NOW + 2 * HOUR, revision=7)
    assert state.get(2).shadow == ShadowRun(NOW, 2, stopped=NOW + 2 * HOUR, end_revision=7)


def test_a_canary_is_over_when_its_traffic_has_moved_and_not_before() -> None:
    begun = canary(live(EndpointState(), "a"), "b", 0.25)
    plan = evolve(begun.get(2).rollout or Rollout((1.0,), HOUR, 1, HOUR), started=NOW, first_revision=2)
    state = replaced(begun, evolve(begun.get(2), rollout=plan))
    state = move(state, 2, S.ROLLBACK_FAILED, now=NOW + HOUR)
    assert state.get(2).rollout == plan
    state = move(state, 2, S.ROLLED_BACK, now=NOW + 2 * HOUR, revision=3)
    assert state.get(2).rollout == evolve(plan, ended=NOW + 2 * HOUR, end_revision=3)


def test_the_time_as_live_ends_before_the_next_revision_where_that_is_not_known_yet() -> None:
    state = move(live(EndpointState(), "a"), 1, S.DRAINING, now=NOW + HOUR)
    assert state.get(1).served == Served(NOW, 1, NOW + HOUR, 2)
    retired = move(state, 1, S.RETIRED, now=NOW + 2 * HOUR).get(1)
    assert retired.served == state.get(1).served
    assert forget(state, 0).get(1).served == state.get(1).served


def test_the_state_survives_its_json_form() -> None:
    state = canary(live(EndpointState(), "a"), "b", 0.25)
    assert EndpointState.from_dict(state.to_dict()) == state


def test_routes_that_are_set_once_more_leave_a_canary_its_share_under_the_new_revision() -> None:
    plan = Rollout((0.1, 1.0), timedelta(0), 1, HOUR, weights={2: 0.1})
    begun = add(live(EndpointState(), "1.0.0"), "2.0.0", plan)
    for status in (S.LOADING, S.WARMING, S.READY, S.CANARY):
        begun = move(begun, 2, status, now=NOW, weight=0.1 if status is S.CANARY else 0.0)

    after = renewed(begun, 3)
    assert after.open is not None
    assert after.open.rollout is not None
    assert (after.revision, dict(after.open.rollout.weights)) == (3, {2: 0.1, 3: 0.1})
    assert after.live == begun.live
