"""An observer implements what it wants to hear."""

from __future__ import annotations

from mlops_core.roles import Observer


class Silent(Observer):
    contract = 1


def test_nothing_is_abstract() -> None:
    Silent().close()
    assert Observer.__abstractmethods__ == frozenset()
