"""``mlops deploy``, ``deployments``, ``rollback``, ``predict`` and ``canary``, from the first version to the second and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


def test_a_plan_is_shown_and_nothing_is_done(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    mlops("deploy", "line", "1", "--to", "staging")
    shown = mlops("deployments", "plan", "line", "2", "--to", "staging", "--weight", "10%").out
    assert "load" in shown
    assert '{"weights": {"1": 0.9, "2": 0.1}, "shadow": null}' in shown
    assert [call["name"] for call in mlops("deployments", "plan", "line", "2", "--to", "staging", "--json").json["calls"]] == [
        "load",
        "set_routes",
    ]
    assert [one["version"] for one in mlops("deployments", "history", "line", "staging", "--json").json] == ["1"]


def test_a_plan_of_an_ab_test_takes_the_shares_as_deploy_does(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    def plan(*weights: str) -> Answer:
        return mlops("deployments", "plan", "line", "2", "--to", "staging", *(word for one in weights for word in ("--weight", one)))

    shown = plan("1=75%", "2=0.25").out
    assert shown.count('{"version": ') == 2
    assert '{"weights": {"1": 0.75, "2": 0.25}, "shadow": null}' in shown
    assert "'2' has no share - add --weight 2=0.5" in plan("1=100%").err
    assert "plan: --weight '10%' is not VERSION=SHARE - write 2=0.1 or 2=10%" in plan("1=90%", "10%").err
    assert "they sum to 0.9, not 1" in plan("1=80%", "2=10%").err
    assert plan("x").code == 2


def test_an_image_is_written_for_a_format_that_can_be_installed(
    mlops: Callable[..., Answer], project: Project, versions: tuple[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "image"
    refused = mlops("deployments", "image", "line", "1", "--into", str(folder))
    assert (refused.code, "format.line: no installed distribution" in refused.err, folder.exists()) == (2, True, False)

    project.versioning.version_model("table", model={"a": 1})
    assert f"docker build {folder}" in mlops("deployments", "image", "table", "1", "--into", str(folder)).out
    assert sorted(path.name for path in folder.iterdir()) == ["Dockerfile", "requirements.txt", "wheels"]
    assert mlops("deployments", "image", "table", "1", "--into", str(folder)).code == 1
