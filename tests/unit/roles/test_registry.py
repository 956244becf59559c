"""The role registry: what it leaves to a backend."""

from __future__ import annotations

import pytest

from mlops_core.roles import RegistryStore


def test_it_cannot_be_made_without_its_mechanism() -> None:
    with pytest.raises(TypeError, match="abstract"):
        RegistryStore()  # type: ignore[abstract]


def test_its_abstract_methods_are_the_mechanism() -> None:
    assert RegistryStore.__abstractmethods__ == frozenset(
        {
            "add_version",
            "add_next_version",
            "get_version",
            "find_versions",
            "retire_version",
            "append",
            "read",
            "journals",
            "lease",
            "put_artifact",
            "open_artifact",
            "leftovers",
            "discard",
            "tenants",
        }
    )
