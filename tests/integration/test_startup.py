"""What makes the program start quickly: nobody's modules are loaded before they are needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
before = set(sys.modules)
from mlops_core.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    print(ended.code, *(set(sys.modules) - before), file=sys.stderr)
"""


def loaded_by(folder: Path, *arguments: str) -> set[str]:
    """Top-level packages that a command loads beside Python's own."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    code, *modules = done.stderr.split()
    assert code == "0"
    return {name.partition(".")[0] for name in modules} - sys.stdlib_module_names


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_nobodys_modules_but_the_command_line_parser(tmp_path: Path, arguments: list[str]) -> None:
    assert loaded_by(tmp_path, *arguments) == {"mlops_core", "click"}


def test_listing_the_plugins_imports_none_of_them(tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, "plugins")
    assert {name for name in loaded if name.startswith("mlops_")} == {"mlops_core"}
    assert loaded.isdisjoint({"mlflow", "numpy", "pyarrow", "scipy", "sklearn", "sqlalchemy"})


MLFLOW = """
version: 1
project: demo
tracker: {use: mlflow, tracking_uri: runs}
registry: sqlite
environments: {staging: local}
"""


@pytest.mark.parametrize("arguments", [["check"], ["status"], ["deployments"], ["runs", "pipeline"], ["plugins", "show", "tracker.mlflow"]])
def test_who_does_not_track_loads_nothing_of_mlflow(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "mlops.yaml").write_text(MLFLOW)
    loaded = loaded_by(tmp_path, *arguments)
    assert loaded.isdisjoint({"mlflow", "pandas", "polars", "pyarrow", "sklearn"})
    assert ("mlops_tracker_mlflow" in loaded) == (arguments[0] in {"check", "plugins"})  # where it is looked into, it was loaded
    assert not (tmp_path / "runs").exists()


def test_the_benchmark_tells_what_it_measured(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "startup.py"), "--small", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    (told,) = json.loads(done.stdout)["lines"]
    assert told["pairs"] == 1
    assert told["figure"] == pytest.approx(told["help_s"] / told["bare_s"])
    assert 0 < told["bare_s"] < told["help_s"]
