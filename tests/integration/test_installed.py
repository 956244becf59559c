"""The packages under test are the distributions of this repository, as their metadata describes them."""

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


def declared(source: Path) -> Any:
    return tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_installed_version_and_entry_points_are_the_declared_ones(source: Path) -> None:
    project = declared(source)
    installed = metadata.distribution(project["name"])
    groups = {
        **project.get("entry-points", {}),
        **({"console_scripts": project["scripts"]} if "scripts" in project else {}),
    }
    wanted = {(group, name, value) for group, points in groups.items() for name, value in points.items()}

    assert installed.version == project["version"]
    assert {(point.group, point.name, point.value) for point in installed.entry_points} == wanted


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_installed_requirements_are_the_declared_ones(source: Path) -> None:
    project = declared(source)
    installed = metadata.distribution(project["name"])
    unconditional = [line for line in installed.requires or () if "extra ==" not in line]

    assert len(unconditional) == len(project["dependencies"])
    assert set(installed.metadata.get_all("Provides-Extra") or ()) == set(project.get("optional-dependencies", ()))
