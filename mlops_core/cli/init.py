"""``mlops init``: a commented, working project."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

import click

from mlops_core.exceptions import ConfigError
from mlops_core.names import check_name, is_name

__all__ = ["command"]

_FILES = {"mlops.yaml": "mlops.yaml", "stages.py": "stages.py", "gitignore": ".gitignore"}


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--name", help="The project's name. Default: the folder's.")
def command(folder: Path, name: str | None) -> None:
    """Write mlops.yaml and stages.py into FOLDER (default: here); nothing is overwritten."""
    project = _name(name, folder)
    taken = [target for target in _FILES.values() if (folder / target).exists()]
    if taken:
        raise ConfigError(f"init: {folder / taken[0]} exists already - give an empty folder, or remove it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, target in _FILES.items():
            text = files("mlops_core.cli").joinpath("template", source).read_text(encoding="utf-8")
            (folder / target).write_text(text.format(project=project) if target == "mlops.yaml" else text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"init: cannot write into {folder}: {error.strerror} - name a folder that can be written") from error
    click.echo(f"made {', '.join(_FILES.values())} in {folder}")
    enter = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))}, then "
    click.echo(f"next: {enter}mlops check, then mlops run")


def _name(name: str | None, folder: Path) -> str:
    if name is None and not is_name(folder.resolve().name):
        raise ConfigError(f"init: the folder's name, {folder.resolve().name!r}, cannot be the project's - give one with --name")
    return check_name(name or folder.resolve().name, "project", ConfigError)
