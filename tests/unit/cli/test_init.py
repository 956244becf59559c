"""``mlops init``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from .conftest import Answer


def test_a_project_that_checks(mlops: Callable[..., Answer], tmp_path: Path) -> None:
    answer = mlops("init", str(tmp_path / "fraud"))
    assert answer.code == 0
    assert {one.name for one in (tmp_path / "fraud").iterdir()} == {"mlops.yaml", "stages.py", ".gitignore"}
    assert "project: fraud" in (tmp_path / "fraud" / "mlops.yaml").read_text()
    checked = mlops("check", "--project", str(tmp_path / "fraud"))
    assert (checked.code, checked.err) == (0, "")


def test_nothing_is_overwritten(mlops: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "stages.py").write_text("mine")
    answer = mlops("init", str(tmp_path), "--name", "x")
    assert answer.code == 2
    assert "exists already" in answer.err
    assert [one.name for one in tmp_path.iterdir()] == ["stages.py"]


def test_names_and_places(mlops: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is not a name" in mlops("init", str(tmp_path), "--name", "a b").err
    assert "'a b', cannot be the project's - give one with --name" in mlops("init", str(tmp_path / "a b")).err
    assert mlops("init", str(tmp_path / "a b"), "--name", "ab").out.endswith(
        f"next: cd '{tmp_path}/a b', then mlops check, then mlops run\n"
    )
    monkeypatch.chdir(tmp_path / "a b")
    for path in (tmp_path / "a b").iterdir():
        path.unlink()
    assert mlops("init", "--name", "ab").out.endswith("next: mlops check, then mlops run\n")
    (tmp_path / "file").write_text("")
    answer = mlops("init", str(tmp_path / "file" / "below"))
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "cannot write into" in answer.err
