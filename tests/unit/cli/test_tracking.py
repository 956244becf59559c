"""``mlops tracking``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.project import Project

    from .conftest import Answer


def test_sync(mlops: Callable[..., Answer], project: Project) -> None:
    assert mlops("tracking", "sync").out == "recovered 0; everything is delivered\n"
    assert mlops("tracking", "sync", "--json").json == {"recovered": 0, "delivered": True}
