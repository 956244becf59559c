import inspect
import typing
from typing import Any

import pluggy
import pytest

from mlops_core import hookspecs, records, roles

HOOKS = {name: value for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")}
ROLES = {name: value for name, value in HOOKS.items() if name.startswith("mlops_")}
EVENTS = {name: value for name, value in HOOKS.items() if name not in ROLES}


def hints(function: Any) -> dict[str, Any]:
    return typing.get_type_hints(function, globalns={**vars(roles), **vars(records), **vars(hookspecs)})


def test_pluggy_takes_every_specification() -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    assert set(HOOKS) == {name for name in vars(manager.hook) if not name.startswith("_")}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_every_hook_is_typed_and_documented(hook: Any) -> None:
    found = hints(hook)
    assert set(found) == {*inspect.signature(hook).parameters, "return"}
    assert inspect.getdoc(hook)


@pytest.mark.parametrize("hook", ROLES.values(), ids=ROLES)
def test_a_role_hook_is_offered_the_name_and_hands_over_a_class(hook: Any) -> None:
    found = hints(hook)
    assert found["name"] is str
    assert typing.get_origin(found["return"]) is type
    assert hook(name="x") is None


@pytest.mark.parametrize("hook", EVENTS.values(), ids=EVENTS)
def test_a_lifecycle_hook_receives_one_frozen_record(hook: Any) -> None:
    (argument,) = inspect.signature(hook).parameters
    event = hints(hook)[argument]
    assert issubclass(event, records.Record)
    assert hook(**{argument: None}) is None


def test_an_event_is_named_like_its_hook() -> None:
    for name, hook in EVENTS.items():
        if name != "deployment_gate":
            assert hints(hook)["event"].__name__ == "".join(part.capitalize() for part in name.split("_"))


def test_every_name_is_listed() -> None:
    assert set(hookspecs.__all__) == {*HOOKS, "PROJECT", "hookimpl", "hookspec"}
