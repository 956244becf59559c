"""The table of states."""

import pytest

from mlops_core.deployment.states import EDGES, ON_ITS_WAY, ROUTED, TERMINAL, check_edge
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S

BACK = {S.ROLLING_BACK, S.ROLLED_BACK, S.ROLLBACK_FAILED}


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    reached, waiting = set(), [S.PENDING]
    while waiting:
        state = waiting.pop()
        if state not in reached:
            reached.add(state)
            waiting += EDGES[state]

    assert reached == set(EDGES) == set(S)


def test_terminal_states_are_never_left_and_all_others_can_be_rolled_back() -> None:
    assert {S.ROLLED_BACK, S.RETIRED, S.FAILED} == TERMINAL
    assert all(S.ROLLED_BACK in EDGES[state] for state in set(S) - TERMINAL)
    assert all(BACK & following for state, following in EDGES.items() if state not in TERMINAL)


def test_traffic_is_taken_only_after_a_version_was_ready() -> None:
    entering = {state for state, following in EDGES.items() if following & {S.CANARY, S.PROMOTING}}
    assert entering == {S.READY, S.SHADOW, S.CANARY, S.PAUSED}
    assert {state for state, following in EDGES.items() if S.LIVE in following} == {S.PROMOTING, S.DRAINING}


def test_what_is_on_its_way_is_neither_over_nor_serving_everything() -> None:
    assert not ON_ITS_WAY & (TERMINAL | {S.LIVE, S.DRAINING})
    assert ROUTED - {S.LIVE} <= ON_ITS_WAY


def test_an_edge_that_is_not_there_is_one_line() -> None:
    check_edge("production/delays/1", S.PENDING, S.LOADING)
    with pytest.raises(DeploymentError) as raised:
        check_edge("production/delays/1", S.RETIRED, S.LIVE)
    assert raised.value.message == "deployment production/delays/1: cannot go from retired to live - from retired it may go to: nothing"
