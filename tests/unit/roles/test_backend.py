"""What every role shares."""

from __future__ import annotations

from mlops_core.roles import Backend


class Quiet(Backend):
    contract = 1


def test_the_defaults_reach_nothing_and_change_nothing() -> None:
    backend = Quiet()
    backend.check()
    backend.close()
    backend.close()
    assert backend.migrate(dry_run=True) == ()
    assert Quiet.capabilities == frozenset()


def test_slots_are_left_to_the_class() -> None:
    assert Backend.__slots__ == ()
