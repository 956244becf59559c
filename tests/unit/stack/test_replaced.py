from pathlib import Path

import pytest

from mlops_core.exceptions import ConfigError
from mlops_core.stack import locate
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.testing.stack import make_stack
from tests.unit.stack.conftest import Calls, Configure

WHOLE = "version: 1\nregistry: {use: 'backends.py:Store'}\ntracker: backends.py:Tracks\ndrift: {tests: [backends.py:Energy]}\n"


class Closing(MemoryTracker):
    closed = 0

    def close(self) -> None:
        type(self).closed += 1


def test_what_is_given_takes_the_place_of_what_is_composed(configure: Configure) -> None:
    configure(WHOLE)
    stack, store, tracker = locate(), MemoryRegistry(), MemoryTracker()
    derived = stack.replacing(registry=store, trackers={"mine": tracker})
    assert derived.parts.registry is store
    assert dict(derived.parts.trackers) == {"mine": tracker}
    assert derived.parts.drift_tests["Energy"] is stack.parts.drift_tests["Energy"]
    assert derived.parts.drift_test("Energy") is stack.parts.drift_test("Energy")
    assert list(stack.parts.trackers) == ["Tracks"]
    assert (derived.root, derived.tenant, derived.settings) == (stack.root, stack.tenant, stack.settings)


def test_a_drift_test_can_be_given_too(configure: Configure) -> None:
    configure(WHOLE)
    stack = locate()
    mine = stack.parts.drift_test("backends.py:Energy")
    derived = stack.replacing(drift_tests={"mine": mine})
    assert derived.parts.drift_test("mine") is mine
    assert derived.parts.drift_test("Energy") is stack.parts.drift_test("Energy")


def test_another_process_cannot_compose_it(configure: Configure) -> None:
    configure(WHOLE)
    stack = locate()
    assert stack.parts.unportable() is None
    assert stack.replacing().parts.unportable() is None
    with pytest.raises(ConfigError, match="another process cannot compose registry: given as an object"):
        stack.replacing(registry=MemoryRegistry()).ref()


def test_both_are_closed(configure: Configure, calls: Calls) -> None:
    configure(WHOLE)
    stack = locate()
    derived = stack.replacing(trackers={"mine": Closing()})
    _ = derived.parts.registry
    derived.parts.close()
    assert Closing.closed == 1
    assert [name for name, what, _ in calls(stack) if what == "closed"] == ["Store"]
    Closing.closed = 0
    stack.replacing(registry=MemoryRegistry()).parts.close()


def test_what_cannot_be_replaced_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stack: 'tracker' cannot be replaced - replaceable are trackers, registry"):
        make_stack(tmp_path).replacing(tracker=MemoryTracker())
    with pytest.raises(AttributeError):
        _ = make_stack(tmp_path).replacing().parts.nothing  # type: ignore[attr-defined]  # the point of the test
    with pytest.raises(AttributeError):
        _ = make_stack(tmp_path).replacing().parts._nothing  # type: ignore[attr-defined]  # noqa: SLF001  the same
