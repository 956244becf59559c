"""What every role shares."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from mlops_core import roles
from mlops_core.roles import Backend

KINDS: list[Any] = [kind for name in roles.__all__ if inspect.isclass(kind := getattr(roles, name)) and issubclass(kind, Backend)]


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_role_leaves_the_class_of_a_plugin_its_slots_and_says_what_every_method_does(kind: Any) -> None:
    assert vars(kind)["__slots__"] == ()
    assert kind.__doc__
    own = {name: value for name, value in vars(kind).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert [name for name, value in own.items() if not value.__doc__] == []


def test_a_role_is_narrow() -> None:
    """What is the same for every backend is written once in the core."""
    sizes = {kind.__name__: len(kind.__abstractmethods__) for kind in KINDS}
    assert sizes.pop("RegistryStore") <= 14  # versions, journals and artifacts: three small contracts with one commit
    assert max(sizes.values()) <= 5
