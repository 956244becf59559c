"""The command group: help, mistakes, and what the shell sees."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mlops_core.cli import main
from mlops_core.cli.app import COMMANDS, app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.project import Project

    from .conftest import Answer


def test_help_names_every_command(mlops: Callable[..., Answer]) -> None:
    answer = mlops("--help")
    assert answer.code == 0
    assert all(f"  {name} " in answer.out for name in COMMANDS)


def test_every_command_has_help(mlops: Callable[..., Answer]) -> None:
    for name in COMMANDS:
        answer = mlops(name, "--help")
        assert answer.code == 0, answer.err
        assert f"Usage: mlops {name}" in answer.out


def test_help_loads_neither_numpy_nor_a_plugin() -> None:
    code = "import sys\nfrom mlops_core.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    print(sorted(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "rich", "cattrs", "ruamel", "sqlalchemy", "mlflow"} & set(told.split("'"))


def test_the_version(mlops: Callable[..., Answer]) -> None:
    assert mlops("--version").out.startswith("mlops 0.")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["rnu"], "mlops: no command 'rnu' - did you mean 'run"),
        (["zzz"], "no command 'zzz' - `mlops --help` lists them"),
        (["run", "--nope"], "No such option '--nope'"),
        (["deploy", "m"], "Missing argument 'VERSION' - see `mlops deploy --help`"),
        (["predict", "m"], "mlops predict --help"),
        (["monitor", "m", "--window", "5"], "expected a duration"),
    ],
)
def test_a_mistake_is_one_line_and_exits_2(mlops: Callable[..., Answer], project: Project, args: list[str], says: str) -> None:
    answer = mlops(*args)
    assert answer.code == 2
    assert says.lower() in answer.err.lower()
    assert answer.err.count("\n") == 1


def test_a_failure_exits_1_in_one_line(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("models", "show", "nothing")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert answer.err.startswith("mlops: ")


def test_a_bug_is_one_line_unless_debugged(mlops: Callable[..., Answer], project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("boom\nmore")

    monkeypatch.setattr("mlops_core.project.Project.open", broken)
    answer = mlops("models")
    assert (answer.code, answer.err) == (1, "mlops: unexpected RuntimeError: boom - call again with --debug for the traceback\n")
    with pytest.raises(RuntimeError, match="boom"):
        main(["models", "list", "--debug"])


def test_an_interrupt_exits_130(mlops: Callable[..., Answer], project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlops_core.project.Project.open", interrupted)
    assert mlops("models").code == 130


def test_a_reader_that_goes_away_is_no_error(project: Project, tmp_path: Path) -> None:
    code = "import sys; from mlops_core.cli import main; main(['plugins'])"
    shell = f'{sys.executable} -c "{code}" | true'
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr


def test_unknown_commands_are_not_found() -> None:
    import click

    assert app.get_command(click.Context(app), "zzz") is None
