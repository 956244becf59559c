"""No request fails while versions are loaded, switched, broken, and their deployment is killed, as the benchmark counts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "switching.py"


@pytest.mark.parametrize("requests", [2_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])])
def test_no_request_fails(requests: int) -> None:
    command = [sys.executable, str(BENCHMARK), "switches", "--requests", str(requests), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    failed, *_ = json.loads(done.stdout)["lines"]
    assert failed["requests"] >= requests
    assert (failed["failed"], failed["holds"]) == (0, True), failed
