"""Monitoring when writers are killed: what was acknowledged is there, nothing counts twice, the store stays readable."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from mlops_core.clock import SystemClock
from mlops_core.monitoring import ModelMonitoring
from mlops_core.testing.stack import make_stack
from mlops_sink_sql.sqlite import SqliteSink

BATCH: Final = 10
WRITER: Final = """
import sys
from pathlib import Path
from mlops_core.clock import SystemClock
from mlops_core.config.settings import MonitoringSettings, Settings
from mlops_core.monitoring import ModelMonitoring
from mlops_core.testing.stack import make_stack
from mlops_sink_sql.sqlite import SqliteSink

root, durability, version = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
settings = Settings(monitoring=MonitoringSettings(durability=durability))
stack = make_stack(root, sinks={"sqlite": SqliteSink(path=root / "monitoring.db")}, clock=SystemClock(), settings=settings)
monitoring = ModelMonitoring(stack=stack)
counted = 0
while True:
    for number in range(10):
        monitoring.track_prediction("m", 0.001 * number, success=number != 0, version=version)
    counted += 10
    if durability == "flush":
        monitoring.flush(30.0)
    print(counted, flush=True)
"""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[ModelMonitoring]:
    """Another process's view: a facade of its own over the same file."""
    sink = SqliteSink(path=tmp_path / "monitoring.db")
    with ModelMonitoring(stack=make_stack(tmp_path, sinks={"sqlite": sink}, clock=SystemClock())) as monitoring:
        yield monitoring
    sink.close()


def start(root: Path, durability: str, version: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(root), durability, version]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_in_the_middle(writer: subprocess.Popen[str], chance: random.Random) -> int:
    """Kill -9 at a random moment; answers how much was acknowledged by then."""
    assert writer.stdout is not None
    first = [writer.stdout.readline() for _ in range(chance.randint(1, 12))]
    time.sleep(chance.uniform(0.0, 0.05))
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    told = [int(line) for line in (*first, *rest.split())]
    return told[-1]


@pytest.mark.parametrize("durability", ["flush", "sync"])
def test_what_was_acknowledged_survives_kill_9(durability: str, tmp_path: Path, reader: ModelMonitoring, fault_rounds: int) -> None:
    for moment in range(fault_rounds):
        chance = random.Random(moment)
        running = {version: start(tmp_path, durability, version) for version in (f"{moment}-a", f"{moment}-b")}
        told = {version: kill_in_the_middle(writer, chance) for version, writer in running.items()}
        for version, acknowledged in told.items():
            found = reader.get_metrics("m", timedelta(days=1), version=version)
            assert acknowledged <= found.total_predictions <= acknowledged + BATCH
            again = reader.get_metrics("m", timedelta(days=1), version=version)
            assert (again.total_predictions, again.total_errors) == (found.total_predictions, found.total_errors)
            assert found.total_errors == -(-found.total_predictions // BATCH)
    assert list((tmp_path / ".mlops" / "spool" / "monitoring").iterdir()) == []


def test_forked_workers_count_for_themselves(tmp_path: Path, reader: ModelMonitoring) -> None:
    """Their parent counted, and had a buffer, before they were born."""
    program = WRITER.split("counted = 0")[0] + (
        """
import os
monitoring.track_prediction("m", 0.1, success=True, version=version)
monitoring.flush(30.0)
monitoring.track_prediction("m", 0.1, success=True, version=version)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        for _ in range(100):
            monitoring.track_prediction("m", 0.1, success=True, version=version)
        monitoring.close()
        os._exit(0)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
monitoring.close()
print(codes)
"""
    )
    command = [sys.executable, "-c", program, str(tmp_path), "flush", "1"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[0, 0, 0]"
    assert reader.get_metrics("m", timedelta(days=1)).total_predictions == 2 + 3 * 100


def test_several_processes_count_exactly(tmp_path: Path, reader: ModelMonitoring) -> None:
    """And one whose sink was away all the time is caught up by whoever reads next."""
    program = WRITER.replace("while True:", "for _ in range(50):").replace("    print(counted, flush=True)", "") + "monitoring.close()"
    away = program.replace('SqliteSink(path=root / "monitoring.db")', 'SqliteSink(path=root / "file" / "monitoring.db")')
    (tmp_path / "file").write_text("no folder")
    versions = {"1": program, "2": program, "3": away.replace("monitoring.flush(30.0)", "pass")}
    running = [subprocess.Popen([sys.executable, "-c", text, str(tmp_path), "flush", version]) for version, text in versions.items()]
    assert [process.wait() for process in running] == [0, 0, 0]
    for version in versions:
        assert reader.get_metrics("m", timedelta(days=1), version=version).total_predictions == 50 * BATCH
