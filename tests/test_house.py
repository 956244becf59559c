"""The rules of the house: what a reviewer would otherwise have to look for by hand."""

import ast
import importlib
import inspect
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mlops_core import exceptions, hookspecs

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "mlops_core" / "cli" / "template"  # what `mlops init` writes: a user's files, no modules of ours
CORE = sorted(path for path in (ROOT / "mlops_core").rglob("*.py") if TEMPLATE not in path.parents)
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
SHIPPED = [*CORE, *(path for plugin in PLUGINS for path in sorted((plugin / "src").rglob("*.py")))]
MIRRORED = [path.relative_to(ROOT / "mlops_core") for path in CORE if path.name != "__init__.py"]
FACADES = ("tracking", "versioning", "deployment", "monitoring", "drift", "functions", "project", "mlops_pipeline")
HEAVY = ("boto3", "cattrs", "mlflow", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "sqlalchemy")
FORBIDDEN = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
LONGEST_MODULE, MEDIAN_MODULE, LONGEST_FUNCTION = 400, 120, 40


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts[parts.index("src") + 1 :] if parts[0] == "plugins" else parts
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter loads for one statement."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in answer.stdout.split()}


def pyproject(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def tracked() -> Iterator[tuple[str, str]]:
    """Every file that git keeps or would keep, with its text."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.stat().st_size < 500_000:
            yield name, path.read_text(encoding="utf-8", errors="replace")


def test_every_module_of_the_core_has_its_tests_at_the_mirrored_path() -> None:
    modules = {path for path in MIRRORED if path.parts[0] != "testing"}
    wanted = {(Path("tests/unit") / path.parent / f"test_{path.name}").as_posix() for path in modules}
    found = {named(path) for path in (ROOT / "tests/unit").rglob("test_*.py")}

    assert sorted(wanted - found) == []
    beside_the_floors = {name for name in found if name.startswith("tests/unit/testing/")}
    assert sorted(found - wanted - beside_the_floors) == []


def test_modules_and_functions_stay_short() -> None:
    lines = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SHIPPED}
    functions = {
        f"{named(path)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in SHIPPED
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: count for name, count in lines.items() if count > LONGEST_MODULE} == {}
    assert {name: count for name, count in functions.items() if count > LONGEST_FUNCTION} == {}
    assert statistics.median(count for name, count in lines.items() if not name.endswith("/__init__.py")) <= MEDIAN_MODULE


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {part for path in SHIPPED for part in module_of(path).split(".")}
    assert parts & FORBIDDEN == set()


@pytest.mark.parametrize("path", SHIPPED, ids=named)
def test_the_public_names_of_a_module_are_listed_and_exist(path: Path) -> None:
    """The order of ``__all__`` is kept by ruff (RUF022); here: it is complete, it is true. Hooks are found by pluggy."""
    body = tree_of(path).body
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")}
    module = importlib.import_module(module_of(path))
    listed = getattr(module, "__all__", None)

    assert listed is not None or not defined, "a module with public names has __all__"
    hooks = set() if module is hookspecs else set(hookspecs.__all__)
    assert sorted(defined - hooks - set(listed or ())) == []
    assert [name for name in listed or () if not hasattr(module, name)] == []


def test_the_error_tree_drawn_is_the_error_tree_that_exists() -> None:
    drawn = [
        (len(line) - len(line.lstrip("│├└─ ")), match[0])
        for line in (exceptions.__doc__ or "").splitlines()
        if (match := re.search(r"\w+Error\b", line)) and re.fullmatch(r"[│├└─ ]*\w+", line)
    ]
    parents: list[tuple[int, str]] = []
    edges = set()
    for indent, name in drawn:
        while parents and parents[-1][0] >= indent:
            parents.pop()
        edges.add((parents[-1][1] if parents else "Exception", name))
        parents.append((indent, name))
    classes = [cls for _, cls in inspect.getmembers(exceptions, inspect.isclass) if issubclass(cls, Exception)]

    assert edges == {(base.__name__, cls.__name__) for cls in classes for base in cls.__bases__}


def test_the_hooks_documented_are_the_hooks_that_exist() -> None:
    existing = {
        f"{name}({', '.join(inspect.signature(value).parameters)})"
        for name, value in vars(hookspecs).items()
        if hasattr(value, f"{hookspecs.PROJECT}_spec")
    }
    page = (ROOT / "docs/reference/hooks.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^#+ `(\w+\(.*?\))`$", page, re.MULTILINE)) == existing


def test_importing_the_package_loads_nothing_of_others() -> None:
    assert loaded_by("import mlops_core") - sys.stdlib_module_names == {"mlops_core"}


@pytest.mark.parametrize("facade", FACADES)
def test_importing_a_facade_loads_nothing_heavy(facade: str) -> None:
    assert loaded_by(f"import mlops_core.{facade}").isdisjoint(HEAVY)


def test_no_file_names_this_machine_or_a_package_index() -> None:
    places = [f"{ROOT}/", f"{ROOT.parent}/shared", f"{ROOT.parent}/.library", f"{Path.home()}/"]
    hosts = ["py" + "pi.org", "python" + "hosted", "registry.npm" + "js", "deb.deb" + "ian"]
    bad = re.compile("|".join(map(re.escape, [*(place for place in places if place.count("/") > 1), *hosts])))

    assert [f"{name}: {found[0]}" for name, text in tracked() if (found := bad.search(text))] == []


def test_nothing_is_left_for_later() -> None:
    marks = re.compile("|".join(["TO" + "DO", "FIX" + "ME", r"\bXX" + r"X\b", r"pytest\.(?:mark\.)?" + "skip", "import" + "orskip"]))
    suspects = [(name, text) for name, text in tracked() if name.endswith(".py")]

    assert [f"{name}: {found[0]}" for name, text in suspects if (found := marks.search(text))] == []


def test_every_constraint_is_one_exact_version_and_none_is_a_framework_of_gigabytes() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert {line.partition("==")[0] for line in lines}.isdisjoint({"tensorflow", "torch"})
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.+!]+(?: ; .+)?", line)] == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_has_the_shape_of_all_plugins(plugin: Path) -> None:
    package = f"mlops_{plugin.name.replace('-', '_')}"
    described = pyproject(plugin)["project"]
    points = described["entry-points"]

    assert described["name"] == f"motadata-mlops-{plugin.name}"
    assert "motadata-mlops-core>=0.1,<0.2" in described["dependencies"]
    assert {group.partition(".")[0] for group in points} == {"mlops_core"}
    assert {value.partition(".")[0] for group in points.values() for value in group.values()} == {package}
    for needed in ("README.md", f"src/{package}/__init__.py", f"src/{package}/py.typed"):
        assert (plugin / needed).is_file(), needed
    assert list((plugin / "tests").glob("test_*.py")), "no tests"


@pytest.mark.parametrize("module", ["graphs", "session"])
def test_plugins_that_share_a_module_keep_it_equal(module: str) -> None:
    """Plugins do not import each other, so that two which serve ONNX models have the same code twice."""
    texts = [
        (ROOT / "plugins" / plugin / "src" / package / f"{module}.py").read_text(encoding="utf-8").replace(package, "")
        for plugin, package in (("format-onnx", "mlops_format_onnx"), ("format-mlflow", "mlops_format_mlflow"))
    ]
    assert texts[0] == texts[1]


def test_every_plugin_is_known_to_the_tools() -> None:
    """Lists that a tool cannot derive from the folder name every plugin; nox itself reads the folder."""
    tools = pyproject(ROOT)["tool"]
    packages = {f"mlops_{plugin.name.replace('-', '_')}" for plugin in PLUGINS}
    strangers = next(contract for contract in tools["importlinter"]["contracts"] if contract["id"] == "strangers")

    assert set(tools["uv"]["sources"]) - {"motadata-mlops-core"} == {f"motadata-mlops-{p.name}" for p in PLUGINS}
    assert set(tools["importlinter"]["root_packages"]) == {"mlops_core", *packages}
    assert set(strangers["modules"]) == packages
    assert set(tools["ruff"]["lint"]["isort"]["known-first-party"]) == {"mlops_core", *packages}
    searched = "".join(tools["mypy"]["mypy_path"])
    assert [plugin.name for plugin in PLUGINS if f"/plugins/{plugin.name}/src" not in searched] == []


def test_the_door_is_closed_on_every_floor_above_it() -> None:
    """The contract that shuts plugins out names every module of the core but the four of the public door."""
    contracts = {contract["id"]: contract for contract in pyproject(ROOT)["tool"]["importlinter"]["contracts"]}
    floors = {name for layer in contracts["floors"]["layers"] for name in re.findall(r"\w+", layer)}
    shut = {name.removeprefix("mlops_core.") for name in contracts["door"]["protected_modules"]}

    assert floors - shut == {"exceptions", "hookspecs", "records", "roles"}
    assert shut <= floors
