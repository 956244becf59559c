"""Which tracker the default stack of a project uses: chosen at its first run, and then kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mlops_core import Project
from mlops_core.config.settings import Settings, Use
from mlops_core.exceptions import ConfigError, ExperimentError, PluginError
from mlops_core.stack import check, locate
from mlops_core.stack.choice import FILE, UNWRITTEN, keep, recorded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Strangers


def default(name: str) -> Settings:
    return Settings(trackers=(Use(name, key="tracker", at=UNWRITTEN),))


def write(folder: Path, text: str) -> None:
    (folder / FILE).parent.mkdir(exist_ok=True)
    (folder / FILE).write_text(text, encoding="utf-8")


def test_nothing_is_chosen_before_the_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Project.open() as project:
        assert list(project.stack.parts.trackers) == ["mlflow"]
        assert recorded(tmp_path) is None
        assert not (tmp_path / ".mlops").exists()
        project.tracker.log_metrics({"loss": 0.1})
        assert recorded(tmp_path) == "mlflow"


def test_what_is_installed_later_moves_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that began with the embedded tracker keeps it beside MLflow, also in other processes."""
    monkeypatch.chdir(tmp_path)
    keep(tmp_path, default("local"))
    with Project.open() as project:
        assert list(project.stack.parts.trackers) == ["local"]
        with project.tracker.start_run("first") as run:
            run.log_metrics({"loss": 0.1})
        assert [one.name for one in project.tracker.search_runs()] == ["first"]
    assert (tmp_path / ".mlops").exists()
    assert not list(tmp_path.rglob("mlflow*"))


def test_a_tracker_that_has_gone_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strangers: Strangers) -> None:
    monkeypatch.chdir(tmp_path)
    keep(tmp_path, default("mlflow"))
    monkeypatch.setattr(sys, "path", [str(strangers.folder)])
    told = f"{FILE}: tracker: tracker.mlflow: its plugin is not installed - run: pip install motadata-mlops-tracker-mlflow"
    with pytest.raises(PluginError) as caught:
        locate().parts.trackers["mlflow"]
    assert caught.value.message == told
    assert told in check()


def test_what_a_file_names_is_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlops.yaml").write_text("version: 1\ntracker: local\n", encoding="utf-8")
    with Project.open() as project:
        project.tracker.log_metrics({"loss": 0.1})
    assert recorded(tmp_path) is None
    (tmp_path / "mlops.yaml").write_text("version: 1\n", encoding="utf-8")
    with Project.open() as project:
        project.tracker.log_metrics({"loss": 0.1})
    assert recorded(tmp_path) == "mlflow"


def test_of_two_that_begin_at_once_the_second_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Project.open() as project:
        keep(tmp_path, default("local"))
        with pytest.raises(ExperimentError, match=r"runs are kept by 'local', not by 'mlflow' .* open the project again"):
            project.tracker.log_metrics({"loss": 0.1})
    keep(tmp_path, default("local"))
    assert recorded(tmp_path) == "local"
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o644
    assert [one.name for one in (tmp_path / ".mlops").iterdir()] == ["stack.yaml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("format: 1\n", "does not say which tracker"),
        ("", "does not say which tracker"),
        ("- 1\n", "does not say which tracker"),
        ("format: [\n", r"stack\.yaml:\d+:\d+: not YAML"),
        ("format: 2\ntracker: local\n", "newer release"),
    ],
)
def test_a_file_that_cannot_be_understood_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, text)
    with pytest.raises(ConfigError, match=said) as caught:
        locate()
    assert "\n" not in caught.value.message
    assert check() == list(caught.value.problems)


@pytest.mark.parametrize("content", [b"\xff\xfe", None], ids=["no text", "a folder"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).mkdir() if content is None else (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        recorded(tmp_path)


def test_a_place_where_nothing_can_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".mlops").symlink_to("nowhere/else")
    with pytest.raises(ConfigError, match=r"cannot be written .* name the tracker"):
        keep(tmp_path, default("local"))
