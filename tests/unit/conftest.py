"""Strangers: distributions that somebody else might have installed, made on the spot."""

import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from attrs import define, field

_NUMBERS = itertools.count(1)


@define
class Strangers:
    """Installs distributions into a folder of their own, at the front of the path."""

    folder: Path
    modules: list[str] = field(factory=list, init=False)

    def module(self, source: str) -> str:
        """Write a module and answer its name, which no other test has."""
        name = f"stranger_{next(_NUMBERS)}"
        (self.folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")
        self.modules.append(name)
        importlib.invalidate_caches()
        return name

    def distribution(self, name: str, version: str, points: dict[str, dict[str, str]], *, metadata: str | None = None) -> None:
        """Write the metadata of a distribution; ``points`` maps a role to names and targets."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        described = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" if metadata is None else metadata
        (info / "METADATA").write_text(described, encoding="utf-8")
        sections = [
            f"[mlops_core.{role}]\n" + "".join(f"{one} = {target}\n" for one, target in names.items()) for role, names in points.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(sections), encoding="utf-8")

    def plugin(self, role: str, name: str, source: str, *, distribution: str = "acme-extras", version: str = "1.2") -> str:
        """A distribution with one plugin; answers the name of its module."""
        module = self.module(source)
        self.distribution(distribution, version, {role: {name: module}})
        return module


@pytest.fixture
def strangers(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Strangers]:
    """Somebody else's distributions; forgotten after the test."""
    made = Strangers(tmp_path_factory.mktemp("site"))
    monkeypatch.syspath_prepend(made.folder)
    yield made
    for name in made.modules:
        sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def _imports_as_before(tmp_path: Path) -> Iterator[None]:
    """Inline plugins append their project to Python's path, and their modules stay imported."""
    before = list(sys.path)
    yield
    sys.path[:] = before
    here = str(tmp_path)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(here):
            del sys.modules[name]
