"""``mlops plugins``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Answer


def test_what_is_installed(mlops: Callable[..., Answer]) -> None:
    answer = mlops("plugins")
    assert answer.code == 0
    assert "format.json" in answer.out
    assert any(one["name"] == "json" and one["role"] == "format" for one in mlops("plugins", "--json").json)


def test_every_first_party_plugin_loads(mlops: Callable[..., Answer]) -> None:
    answer = mlops("plugins", "--load")
    assert (answer.code, answer.err) == (0, "")
    assert "  no" not in answer.out


def test_options_of_one(mlops: Callable[..., Answer]) -> None:
    answer = mlops("plugins", "show", "tracker.mlflow")
    assert "tracking_uri" in answer.out
    assert "capabilities: search" in answer.out
    assert mlops("plugins", "show", "format.json", "--json").json["name"] == "json"


def test_mistakes(mlops: Callable[..., Answer]) -> None:
    for plugin, says in (("ks", "is not written ROLE.NAME"), ("drift.kss", "kss"), ("nothing.x", "is not written ROLE.NAME")):
        answer = mlops("plugins", "show", plugin)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert says in answer.err
