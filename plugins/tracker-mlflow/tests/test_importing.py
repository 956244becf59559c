"""MLflow is imported when tracking begins, by the thread that begins it, and one that cannot be imported is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from mlops_core.exceptions import ExperimentError, PluginError
from mlops_core.testing.tracker_suite import _R1
from mlops_tracker_mlflow import MlflowTracker

if TYPE_CHECKING:
    from pathlib import Path

PROJECT: Final = "version: 1\nproject: demo\ntracker: {use: mlflow, tracking_uri: runs}\n"
WATCHED: Final = """
import sys, threading
from mlops_core import ExperimentTracker

class Watch:
    importers = set()

    def find_spec(self, name, path=None, target=None):
        if name in {"mlflow", "pandas", "polars", "pyarrow"}:
            self.importers.add(threading.current_thread().name)

sys.meta_path.insert(0, Watch())
"""
AT_ONCE: Final = """
together = threading.Barrier(4)
failures = []

def work():
    together.wait()
    try:
        with tracker.start_run() as run:
            run.log_metrics({"loss": 1.0})
    except Exception as error:
        failures.append(error)

with ExperimentTracker() as tracker:
    threads = [threading.Thread(target=work, name=f"mine-{n}") for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert [run.metrics for run in tracker.search_runs()] == [{"loss": 1.0}] * 4
assert len(Watch.importers) == 1, Watch.importers
assert Watch.importers < {f"mine-{n}" for n in range(4)}, Watch.importers
"""
FORKED: Final = """
import os
tracker = ExperimentTracker()
tracker.tracking_uri
assert "mlflow" not in sys.modules
child = os.fork()
if not child:
    with tracker:
        tracker.log_params({"depth": 3})
    assert Watch.importers == {"MainThread"}, Watch.importers
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert "mlflow" not in sys.modules
(run,) = tracker.search_runs()
assert (run.params, str(run.status)) == ({"depth": "3"}, "finished"), run
assert Watch.importers == {"MainThread"}, Watch.importers
tracker.close()
"""


def python(program: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "mlops.yaml").write_text(PROJECT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("program", [AT_ONCE, FORKED], ids=["threads at once", "a forked child first"])
def test_a_thread_in_the_background_imports_nothing_of_it(tmp_path: Path, program: str) -> None:
    done = python(WATCHED + program, tmp_path)
    assert done.returncode == 0, done.stderr


MLOPS: Final = "from mlops_core.cli import main; main()"
BROKEN: Final = "MLflow cannot be imported (TypeError: Descriptors cannot be created directly.) - reinstall mlflow"


def test_one_that_raises_at_import_is_one_line_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "site" / "mlflow").mkdir(parents=True)
    (tmp_path / "site" / "mlflow" / "__init__.py").write_text("raise TypeError('Descriptors cannot be created directly.\\nMore.')\n")
    assert python(MLOPS, tmp_path, "check").returncode == 0
    for arguments in (["check", "--connect"], ["runs", "list"]):
        done = python(MLOPS, tmp_path, *arguments)
        assert done.returncode != 0
        assert done.stderr.endswith(f"tracker mlflow: {BROKEN}\n"), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "runs").exists()


def test_one_that_is_missing_is_told_where_the_configuration_is_checked(tmp_path: Path) -> None:
    done = python("import sys; sys.modules['mlflow'] = None; " + MLOPS, tmp_path, "check")
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("mlops.yaml:3:16: tracker: tracker.mlflow (motadata-mlops-tracker-mlflow ")
    assert line.endswith("its dependency 'mlflow' is not installed - install it, or reinstall motadata-mlops-tracker-mlflow")


def test_every_call_that_needs_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    tracker = MlflowTracker(tracking_uri=str(tmp_path / "runs"))
    for call in (
        tracker.prepare,
        tracker.check,
        lambda: tracker.ensure_experiment("acme", "e", {}),
        lambda: list(tracker.read_metric(_R1, "x")),
    ):
        with pytest.raises(PluginError, match=r"MLflow cannot be imported \(ModuleNotFoundError: .*\) - reinstall mlflow") as caught:
            call()
        assert not isinstance(caught.value, ExperimentError)
    assert not (tmp_path / "runs").exists()
