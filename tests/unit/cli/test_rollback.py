"""``mlops rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.project import Project

    from .conftest import Answer


def test_what_served_before_serves_again(mlops: Callable[..., Answer], versions: tuple[str, str], project: Project) -> None:
    mlops("deploy", "line", "1", "--to", "staging")
    mlops("deploy", "line", "2", "--to", "staging")
    answer = mlops("rollback", "staging/line/2", "--reason", "too steep")
    assert answer.code == 0
    assert "too steep" in answer.out
    live = project.deployment.status("line", "staging").live
    assert live is not None
    assert live.version == "1"
    assert mlops("rollback", "--model", "line", "--environment", "staging").code == 0
    assert project.deployment.status("line", "staging").live is None


def test_it_has_to_be_named_once(mlops: Callable[..., Answer], project: Project) -> None:
    for args in ([], ["--model", "line"], ["a/b/1", "--model", "line", "--environment", "staging"]):
        answer = mlops("rollback", *args)
        assert answer.code == 2
        assert "give the id of a deployment, or --model and --environment" in answer.err
