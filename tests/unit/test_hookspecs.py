"""The hooks as pluggy sees them."""

from __future__ import annotations

import inspect

import pluggy
import pytest

from mlops_core import hookspecs
from mlops_core.hookspecs import hookimpl

ROLES = {name for name in hookspecs.__all__ if name.startswith("mlops_")}
EVENTS = set(hookspecs.__all__) - ROLES - {"PROJECT", "hookimpl", "hookspec"}


@pytest.fixture
def manager() -> pluggy.PluginManager:
    made = pluggy.PluginManager(hookspecs.PROJECT)
    made.add_hookspecs(hookspecs)
    return made


def test_ten_roles_nine_events_and_a_gate(manager: pluggy.PluginManager) -> None:
    assert len(ROLES) == 10
    assert len(EVENTS) == 10
    for name in ROLES | EVENTS:
        assert getattr(manager.hook, name).spec is not None, name


def test_an_event_receives_one_value() -> None:
    for name in EVENTS - {"deployment_gate"}:
        assert list(inspect.signature(getattr(hookspecs, name)).parameters) == ["event"]


def test_a_role_hook_may_leave_its_argument_out(manager: pluggy.PluginManager) -> None:
    class Plugin:
        @staticmethod
        @hookimpl
        def mlops_drift_test() -> type:
            return int

    manager.register(Plugin())
    manager.check_pending()
    assert manager.hook.mlops_drift_test(name="x") is int


def test_a_misspelled_hook_is_found(manager: pluggy.PluginManager) -> None:
    class Plugin:
        @hookimpl
        def run_startet(self, event: object) -> None:
            """Listen to nothing."""

    manager.register(Plugin())
    with pytest.raises(pluggy.PluginValidationError, match="run_startet"):
        manager.check_pending()


def test_specifications_do_nothing_themselves() -> None:
    for name in ROLES | EVENTS:
        assert getattr(hookspecs, name)(None) is None
