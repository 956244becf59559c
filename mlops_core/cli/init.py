"""``mlops init``: a commented, working project."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from mlops_core.exceptions import ConfigError
from mlops_core.names import check_name

__all__ = ["command"]

_FILES = {"mlops.yaml": "mlops.yaml", "stages.py": "stages.py", "gitignore": ".gitignore"}


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--name", help="The project's name. Default: the folder's.")
def command(folder: Path, name: str | None) -> None:
    """Write mlops.yaml and stages.py into FOLDER (default: here); nothing is overwritten."""
    project = check_name(name or folder.resolve().name, "project", ConfigError)
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
    click.echo("next: mlops check, then mlops run")
