"""The journal of an endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_core.deployment.endpoint import EndpointState, create, move
from mlops_core.deployment.ledger import Ledger, journal_name
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import EndpointKey, NewEntry

KEY = EndpointKey("acme", "production", "delays")


def add(world: Any, ledger: Ledger, key: str = "") -> EndpointState:
    return ledger.change(lambda state: create(state, KEY, {"1.0.0": 1.0}, now=world.clock.now(), key=key), key=key)


def test_every_change_is_an_entry_with_the_complete_state(world: Any) -> None:
    ledger = Ledger(world.stack, KEY)
    state = add(world, ledger)
    ledger.change(lambda before: move(before, 1, S.LOADING, now=world.clock.now()))
    entries = world.registry.read("acme", journal_name(KEY))

    assert journal_name(KEY) == "deployments/production/delays"
    assert [entry.kind for entry in entries] == ["pending", "loading"]
    assert EndpointState.from_dict(entries[0].state) == state
    assert entries[1].change == {"number": 1, "confirmed": True, "reason": "", "revision": 0, "routes": [], "shadow": None}
    assert [event.state for event in world.events] == ["pending", "loading"]


def test_no_change_is_no_entry(world: Any) -> None:
    ledger = Ledger(world.stack, KEY)
    add(world, ledger)
    ledger.change(lambda state: state)
    assert len(world.registry.read("acme", journal_name(KEY))) == 1


def test_a_key_is_written_once(world: Any) -> None:
    ledger = Ledger(world.stack, KEY)
    first = add(world, ledger, "run-7")
    assert add(world, ledger, "run-7") == first
    assert ledger.of_key("run-7") == first.get(1)
    assert ledger.of_key("run-8") is None


def test_a_key_may_be_remembered_for_what_was_there(world: Any) -> None:
    ledger = Ledger(world.stack, KEY)
    one = add(world, ledger).get(1)
    assert ledger.note(one, "") == ledger.note(one, "run-9") == ledger.note(one, "run-9") == one
    assert ledger.of_key("run-9") == one
    assert len(world.registry.read("acme", journal_name(KEY))) == 2


def test_an_intent_is_told_to_nobody_until_it_is_confirmed(world: Any) -> None:
    ledger = Ledger(world.stack, KEY)
    add(world, ledger)
    for status in (S.LOADING, S.WARMING, S.READY):
        ledger.change(lambda state, status=status: move(state, 1, status, now=world.clock.now()))  # type: ignore[misc]  # bound early
    ledger.change(lambda state: move(state, 1, S.PROMOTING, now=world.clock.now(), confirmed=False, weight=1.0))

    assert [event.state for event in world.events] == ["pending", "loading", "warming", "ready"]


def test_what_was_pruned_is_found_in_the_history(world: Any) -> None:
    ledger = Ledger(world.stack, KEY)
    for number in range(1, 13):
        add(world, ledger)
        ledger.change(lambda state, number=number: move(state, number, S.FAILED, now=world.clock.now(), reason=f"no. {number}"))  # type: ignore[misc]

    assert ledger.read().find(1) is None
    assert ledger.deployment(1).reason == "no. 1"
    assert [one.number for one in ledger.history()] == list(range(1, 13))
    with pytest.raises(DeploymentError, match="deployment production/delays/13: there is none of that number"):
        ledger.deployment(13)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"format": 1, "shiny": True}, "the journal was written by a newer release"),
        ({"format": 99}, "format 99 of the journal is not known"),
    ],
)
def test_a_journal_of_a_newer_release_is_refused(world: Any, state: dict[str, Any], said: str) -> None:
    world.registry.append("acme", journal_name(KEY), 0, NewEntry(world.clock.now(), "pending", state=state))
    with pytest.raises(DeploymentError, match=said):
        Ledger(world.stack, KEY).read()
