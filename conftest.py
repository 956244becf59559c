"""What holds for every test of the repository: of the core, of each plugin and of the examples."""

import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parent

# No deadline: a slow machine is no failure. Derandomised: the same input gives the same verdict on every machine.
hypothesis.settings.register_profile("project", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("project")

# One thread of linear algebra in each worker and in what it starts: two workers with two threads each wait for one another, up to 40 times
# as long as they calculate. Both OpenBLAS and OpenMP read it when they are loaded, which workers and children do after this.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionstart() -> None:
    """Refuse to test the checkout where nox promises to test the installed packages."""
    if "MLOPS_TESTS_INSTALLED" in os.environ:
        import mlops_core

        if Path(mlops_core.__file__).is_relative_to(ROOT / "mlops_core"):
            pytest.exit(f"mlops_core is imported from the checkout: {mlops_core.__file__}", returncode=4)


@pytest.fixture(autouse=True)
def _private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test starts in an empty folder, with no project around it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLOPS_PROJECT", raising=False)
