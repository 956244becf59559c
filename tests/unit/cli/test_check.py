"""``mlops check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from mlops_core.project import Project

    from .conftest import Answer

WRONG = """version: 1
project: demo
trackr: mlflow
registry: {use: sqlite, pth: x.db}
environments: {staging: {use: locl}}
drift: {tests: [ks], alpha: 5}
executor: inline
pipeline:
  stages:
    one: {use: "./stages.py:missing"}
    two: {timeout: 5}
"""


def test_a_sound_project(mlops: Callable[..., Answer], project: Project) -> None:
    assert mlops("check").out == "the configuration is sound\n"
    assert mlops("check", "--connect").out == "the configuration is sound and every backend answers\n"
    assert mlops("check", "--json").json == {"problems": []}


def test_every_mistake_with_its_place(mlops: Callable[..., Answer], project: Project, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "mlops.yaml").write_text(WRONG)
    answer = mlops("check", "--project", str(tmp_path / "bad"))
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert "bad/mlops.yaml:3:1: unknown key 'trackr' - did you mean 'tracker'?" in lines
    assert any(line.startswith("bad/mlops.yaml:6:") and "alpha" in line for line in lines)
    assert any(line.startswith("bad/mlops.yaml:11:") and "timeout" in line for line in lines)
    assert mlops("check", "--project", str(tmp_path / "bad"), "--json").json["problems"] == lines


def test_no_file_anywhere(mlops: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no mlops.yaml here or above" in mlops("check").out


def test_environments_are_reached_with_the_ports_that_they_need(mlops: Callable[..., Answer], tmp_path: Path) -> None:
    text = "version: 1\nproject: demo\nenvironments: {staging: {use: local, host: 'HOST'}}\n"
    (tmp_path / "mlops.yaml").write_text(text.replace("HOST", "::"))  # every address of this machine
    assert mlops("check", "--project", str(tmp_path)).code == 0
    answer = mlops("check", "--project", str(tmp_path), "--connect")
    assert answer.code == 2
    assert "no tokens are set - set tokens, or listen on 127.0.0.1" in answer.err
    (tmp_path / "mlops.yaml").write_text(text.replace("HOST", "127.0.0.1"))
    assert mlops("check", "--project", str(tmp_path), "--connect").code == 0


def test_no_file(mlops: Callable[..., Answer], tmp_path: Path) -> None:
    answer = mlops("check", "--project", str(tmp_path / "nowhere"))
    assert (answer.code, answer.err.count("\n")) == (2, 1)
