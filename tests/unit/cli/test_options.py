"""The options that every command takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from mlops_core.project import Project

    from .conftest import Answer


def test_a_project_elsewhere_and_another_tenant(
    mlops: Callable[..., Answer], versions: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(mlops("models", "list", "--json").json) == 1  # found upwards
    assert len(mlops("models", "list", "--json", "--project", str(tmp_path)).json) == 1
    assert mlops("models", "list", "--json", "--tenant", "other").json == []
    assert mlops("models", "list", "--tenant", "../x").code == 2


def test_a_profile_that_does_not_exist(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("models", "list", "--profile", "nope")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "mlops.nope.yaml" in answer.err
