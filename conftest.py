"""What holds for every test of the repository: of the core, of each plugin and of the examples."""

import os
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parent
UNIT = ROOT / "tests" / "unit"
MEASURED = "COVERAGE_PROCESS_CONFIG"  # by which coverage has child processes measure themselves

# No deadline: a slow machine is no failure. Derandomised: the same input gives the same verdict on every machine.
hypothesis.settings.register_profile("project", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("project")

# One thread of linear algebra in each worker and in what it starts: two workers with two threads each wait for one another, up to 40 times
# as long as they calculate. Both OpenBLAS and OpenMP read it when they are loaded, which workers and children do after this.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_auto_num_workers() -> int | None:
    """Two workers more than processors that it may use: tests of servers, kills and timeouts wait for as long as they calculate."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return 2 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_sessionstart() -> None:
    """Refuse to test the checkout where nox promises to test the installed packages."""
    if "MLOPS_TESTS_INSTALLED" in os.environ:
        import mlops_core

        if Path(mlops_core.__file__).is_relative_to(ROOT / "mlops_core"):
            pytest.exit(f"mlops_core is imported from the checkout: {mlops_core.__file__}", returncode=4)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """The core is covered by its unit tests alone: what others pass by the way proves little, and counting takes half as long again.

    Nor do simulations count. The marker ``no_cover`` would not do: with xdist, pytest-cov measures a worker twice, and pauses once.
    """
    counts = item.path.is_relative_to(UNIT) and not item.get_closest_marker("simulation")
    if counts or MEASURED not in os.environ:
        return (yield)
    here, threads, children = sys.gettrace(), threading.gettrace(), os.environ.pop(MEASURED)
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(here)
        threading.settrace(threads)
        os.environ[MEASURED] = children


@pytest.fixture(autouse=True)
def _private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test starts in an empty folder, with no project around it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLOPS_PROJECT", raising=False)
