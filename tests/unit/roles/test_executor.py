"""The role executor: what it leaves to a backend."""

from __future__ import annotations

import pytest

from mlops_core.roles import Executor


def test_it_cannot_be_made_without_its_mechanism() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Executor()  # type: ignore[abstract]


def test_its_abstract_methods_are_the_mechanism() -> None:
    assert Executor.__abstractmethods__ == frozenset({"submit"})
