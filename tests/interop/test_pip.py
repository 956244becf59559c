"""Installers other than the one that the sessions use."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.interop
@pytest.mark.timeout(600)
def test_plain_pip_builds_and_installs_the_core_and_the_command_answers(tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    constraints = str(ROOT / "constraints.txt")

    subprocess.run([programs / "python", "-m", "pip", "install", "-q", "-c", constraints, str(ROOT)], check=True)
    helped = subprocess.run([programs / "mlops", "--help"], capture_output=True, text=True, check=True)

    assert helped.stdout.startswith("Usage: mlops")
    assert helped.stderr == ""
