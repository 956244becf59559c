import sys
from pathlib import Path

import pytest

from mlops_core.exceptions import PluginError, PluginNotFoundError
from mlops_core.plugins.inline import inline_object, is_inline
from tests.unit.conftest import Strangers

WHERE = "drift './d.py:X'"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def project(tmp_path: Path, strangers: Strangers) -> Path:
    """A folder whose modules are forgotten after the test."""
    return tmp_path


def forget(strangers: Strangers, *names: str) -> None:
    strangers.modules += names


def test_a_colon_makes_a_plugin_inline() -> None:
    assert is_inline("my_module:EnergyDistance")
    assert is_inline("./detectors.py:EnergyDistance")
    assert not is_inline("ks")


def test_an_installed_module(tmp_path: Path) -> None:
    assert inline_object("pathlib:Path", tmp_path, WHERE) is Path
    assert inline_object("os:path.join", tmp_path, WHERE)("a", "b") == str(Path("a/b"))


@pytest.mark.parametrize("use", ["./detectors_a.py:Energy", "detectors_a.py:Energy", "detectors_a:Energy"])
def test_a_file_beside_the_configuration(project: Path, strangers: Strangers, use: str) -> None:
    forget(strangers, "detectors_a")
    write(project, "detectors_a.py", "class Energy: pass\n")
    found = inline_object(use, project, WHERE)
    assert found.__name__ == "Energy"
    assert inline_object(use, project, WHERE) is found


def test_a_file_beside_the_configuration_keeps_its_plain_module_name(project: Path, strangers: Strangers) -> None:
    """So that a pickle of what it defines can be read again in another process."""
    forget(strangers, "detectors_b")
    write(project, "detectors_b.py", "class Energy: pass\n")
    assert inline_object("./detectors_b.py:Energy", project, WHERE).__module__ == "detectors_b"


def test_a_file_in_a_folder_below(project: Path) -> None:
    write(project, "parts/deep.py", "class Energy: pass\n")
    assert inline_object("parts/deep.py:Energy", project, WHERE).__name__ == "Energy"


def test_an_absolute_file(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.mktemp("elsewhere"), "far.py", "class Energy: pass\n")
    assert inline_object(f"{path}:Energy", project, WHERE).__name__ == "Energy"


def test_modules_of_a_project_find_each_other(project: Path, strangers: Strangers) -> None:
    forget(strangers, "detectors_c", "measures_c")
    write(project, "measures_c.py", "LIMIT = 7\n")
    write(project, "detectors_c.py", "class Energy:\n    def limit(self):\n        import measures_c\n        return measures_c.LIMIT\n")
    assert inline_object("detectors_c.py:Energy", project, WHERE)().limit() == 7


def test_a_module_of_a_package_in_the_project(project: Path, strangers: Strangers) -> None:
    forget(strangers, "package_d", "package_d.inner")
    write(project, "package_d/__init__.py", "")
    write(project, "package_d/inner.py", "class Energy: pass\n")
    assert inline_object("package_d.inner:Energy", project, WHERE).__module__ == "package_d.inner"


def test_two_projects_with_a_file_of_one_name_get_their_own(
    project: Path, strangers: Strangers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    forget(strangers, "stages_e")
    other = tmp_path_factory.mktemp("other")
    write(project, "stages_e.py", "class Energy: place = 1\n")
    write(other, "stages_e.py", "class Energy: place = 2\n")
    for use in ("stages_e.py:Energy", "stages_e:Energy"):
        assert inline_object(use, project, WHERE).place == 1
        assert inline_object(use, other, WHERE).place == 2
        assert inline_object(use, other, WHERE) is inline_object(use, other, WHERE)


def test_the_project_does_not_shadow_what_is_installed(project: Path) -> None:
    write(project, "json.py", "raise RuntimeError\n")
    before = list(sys.path)
    assert inline_object("pathlib:Path", project, WHERE) is Path
    assert sys.path == [*before, str(project)]


WRONG = {
    "a missing file": ("./nowhere.py:X", PluginNotFoundError, r"there is no file \./nowhere\.py beside the configuration"),
    "a missing module": (
        "nowhere_at_all:X",
        PluginNotFoundError,
        r"no module 'nowhere_at_all' - install it, or write './nowhere_at_all\.py:Name'",
    ),
    "a missing submodule": ("json.nowhere:X", PluginNotFoundError, "there is no module 'json.nowhere'"),
    "a missing name": ("pathlib:Pth", PluginNotFoundError, r"pathlib has no 'Pth' - did you mean 'Path'\?"),
    "a missing name of a class": ("pathlib:Path.absolut", PluginNotFoundError, r"has no 'Path.absolut' - did you mean 'absolute'\?"),
    "no name": ("pathlib:", PluginError, "is no inline plugin - write"),
    "no module": (":Path", PluginError, "is no inline plugin - write"),
    "a file that raises": ("./raises.py:X", PluginError, r"\./raises\.py cannot be imported: ZeroDivisionError: division by zero"),
    "a file that exits": ("./exits.py:X", PluginError, r"\./exits\.py cannot be imported: SystemExit: 3"),
    "a file that is no Python": ("./broken.py:X", PluginError, r"cannot be imported: SyntaxError"),
    "a file whose import is missing": (
        "./needs.py:X",
        PluginError,
        r"\./needs\.py needs the module 'not_there_at_all', which is not installed",
    ),
    "a file in a folder that raises": ("./sub/raises.py:X", PluginError, r"cannot be imported: ValueError: no"),
}


@pytest.mark.parametrize(("use", "error", "cause"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_imported_is_one_line(project: Path, strangers: Strangers, use: str, error: type[PluginError], cause: str) -> None:
    forget(strangers, "raises", "exits", "broken", "needs")
    write(project, "raises.py", "1 / 0\n")
    write(project, "exits.py", "raise SystemExit(3)\n")
    write(project, "broken.py", "def\n")
    write(project, "needs.py", "import not_there_at_all\n")
    write(project, "sub/raises.py", "raise ValueError('no')\n")
    with pytest.raises(PluginError, match=cause) as caught:
        inline_object(use, project, WHERE)
    assert type(caught.value) is error
    assert caught.value.message.startswith(f"{WHERE}: ")
    assert "\n" not in caught.value.message


def test_a_file_that_failed_is_tried_again(project: Path) -> None:
    path = write(project, "sub/later.py", "raise ValueError('no')\n")
    with pytest.raises(PluginError):
        inline_object("sub/later.py:X", project, WHERE)
    path.write_text("class X: pass\n", encoding="utf-8")
    assert inline_object("sub/later.py:X", project, WHERE).__name__ == "X"
