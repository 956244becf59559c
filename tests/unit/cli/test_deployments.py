"""``mlops deploy``, ``deployments``, ``rollback``, ``predict`` and ``canary``, from the first version to the second and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.project import Project

    from .conftest import Answer


def test_no_endpoint_at_first(mlops: Callable[..., Answer], project: Project) -> None:
    assert mlops("deployments").out.startswith("Endpoints: none yet - `mlops deploy")


def test_what_is_kept_for_a_rollback_is_listed(mlops: Callable[..., Answer], versions: tuple[str, str], project: Project) -> None:
    mlops("deploy", "line", "1", "--to", "staging")
    mlops("deploy", "line", "2", "--to", "staging")
    (kept,) = project.deployment.status("line", "staging").kept
    assert f"1 until {kept.retire_at:%Y-%m-%d %H:%M}" in mlops("deployments").out


def test_history_and_shutdown(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    mlops("deploy", "line", "1", "--to", "staging")
    mlops("deploy", "line", "2", "--to", "staging")
    assert "line" in mlops("deployments").out
    assert [one["version"] for one in mlops("deployments", "history", "line", "staging", "--json").json] == ["1", "2"]
    assert "staging/line/1" in mlops("deployments", "history", "line", "staging").out
    assert mlops("deployments", "list", "--environment", "production", "--json").json == []
    assert mlops("deployments", "shutdown", "staging").out == "staging: stopped\n"
    assert mlops("deployments", "shutdown", "nowhere").code != 0
