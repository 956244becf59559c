"""What is around monitoring fails: the disk is full, a sink is away, the clock goes back. Predictions go on, and nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from mlops_core.clock import SystemClock
from mlops_core.monitoring import ModelMonitoring
from mlops_core.testing.servers import PostgresServer
from mlops_core.testing.stack import make_stack
from mlops_sink_sql.postgres import PostgresSink
from mlops_sink_sql.sqlite import SqliteSink

if TYPE_CHECKING:
    from pathlib import Path

AWAY: Final = 60.0  # seconds in a long run
SHORT: Final = 3.0
LONG: Final = 20  # rounds that are a long run
PATIENCE: Final = 60.0
SLOW: Final = 0.05  # seconds, on a machine that is busy with other things

# Spool and database lie on a disk that is full for two seconds, while predictions go on; their slowest is told with the counts.
FULL: Final = """
import os, resource, sys, time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from mlops_core.clock import SystemClock
from mlops_core.monitoring import ModelMonitoring
from mlops_core.testing.stack import make_stack
from mlops_sink_sql.sqlite import SqliteSink

root, way = Path(sys.argv[1]), sys.argv[2]
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

def fill():
    if way == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, unlimited[1]))
        return
    with open(root / "ballast", "wb", buffering=0) as ballast:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while True:
                    ballast.write(bytes(size))

def free():
    if way == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    else:
        os.unlink(root / "ballast")

sink = SqliteSink(path=root / "monitoring.db", busy_timeout=5)
monitoring = ModelMonitoring(stack=make_stack(root, sinks={"sqlite": sink}, clock=SystemClock()))
counted, failed, took = 0, 0, []

def go_on(seconds):
    global counted
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        monitoring.track_prediction("m", 0.001 * (counted % 500), success=True, version=str(counted % 40))
        took.append(time.perf_counter() - began)
        counted += 1
        time.sleep(0.001)

go_on(0.5)
monitoring.flush(30.0)
fill()
try:
    go_on(2.0)
    try:
        monitoring.flush(1.0)
    except Exception as error:
        failed += 1
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
finally:
    free()
go_on(0.5)
deadline = time.monotonic() + 60
while True:
    try:
        monitoring.flush(10.0)
        break
    except Exception:
        if time.monotonic() > deadline:
            raise
took.sort()
print(counted, monitoring.get_metrics("m", timedelta(hours=1)).total_predictions, failed, took[int(len(took) * 0.99)])
monitoring.close()
sink.close()
"""


# A mount of its own, which only the program sees and which ends with it; not every machine allows it.
MOUNTED: Final = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"']


def ways() -> list[str]:
    """How a disk can be full here: by a limit of the process's files, and really."""
    with tempfile.TemporaryDirectory() as place:
        tried = subprocess.run([*MOUNTED, place, "true"], capture_output=True, check=False) if shutil.which("unshare") else None
    return ["limit", "tmpfs"] if tried is not None and tried.returncode == 0 else ["limit"]


@pytest.mark.parametrize("way", ways())
def test_a_full_disk_loses_no_count(way: str, tmp_path: Path) -> None:
    program = [sys.executable, "-c", FULL, str(tmp_path), way]
    command = [*MOUNTED, str(tmp_path), *program] if way == "tmpfs" else program
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    counted, found, failed, slow = ended.stdout.split()
    assert (counted, failed) == (found, "1"), ended.stderr
    assert float(slow) < SLOW


def test_a_sink_that_is_away_delays_nobody_and_catches_up(tmp_path: Path, fault_rounds: int) -> None:
    """A minute in a long run. The other sink has everything meanwhile."""
    with (
        PostgresServer() as server,
        closing(PostgresSink(server.database())) as away,
        closing(SqliteSink(path=tmp_path / "here.db")) as here,
    ):
        stack = make_stack(tmp_path, sinks={"sqlite": here, "postgres": away}, clock=SystemClock())
        with ModelMonitoring(stack=stack) as monitoring:
            writer = _Writer(monitoring)
            writer.go_on(0.5)
            monitoring.flush(PATIENCE)
            server.kill()
            writer.go_on(AWAY if fault_rounds >= LONG else SHORT)
            assert monitoring.get_metrics("m").total_predictions == writer.counted
            server.start()
            writer.go_on(0.5)
            monitoring.flush(PATIENCE)
            keys = list(away.series("acme"))
            found = sum(segment.total for key in keys for segment in away.read(key, *_ever()))
    assert found == writer.counted
    sys.stdout.write(f"{writer.counted} predictions, 99 % within {writer.slow * 1e6:.0f} us while a sink was away\n")
    assert writer.slow < SLOW


def test_a_clock_that_goes_back_an_hour_loses_nothing(tmp_path: Path) -> None:
    class Clock(SystemClock):
        back = timedelta(0)

        def now(self) -> datetime:
            return super().now() - self.back

    clock = Clock()
    with closing(SqliteSink(path=tmp_path / "monitoring.db")) as sink:
        with ModelMonitoring(stack=make_stack(tmp_path, sinks={"sqlite": sink}, clock=clock)) as monitoring:
            writer = _Writer(monitoring)
            writer.go_on(0.3)
            clock.back = timedelta(hours=1)
            writer.go_on(0.3)
            assert monitoring.get_metrics("m", timedelta(hours=3)).total_predictions == writer.counted
            monitoring.roll_up()
            assert monitoring.get_metrics("m", timedelta(hours=3)).total_predictions == writer.counted
            clock.back = timedelta(0)
            writer.go_on(0.3)
            assert monitoring.get_metrics("m", timedelta(hours=3)).total_predictions == writer.counted
        found = sum(segment.total for key in sink.series("acme") for segment in sink.read(key, *_ever()))
    assert found == writer.counted


class _Writer:
    """Counts, and measures what that takes."""

    def __init__(self, monitoring: ModelMonitoring) -> None:
        self.counted = 0
        self._monitoring = monitoring
        self._took: list[float] = []

    def go_on(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            self._monitoring.track_prediction("m", 0.01, success=True)
            self._took.append(time.perf_counter() - began)
            self.counted += 1
            time.sleep(0.001)

    @property
    def slow(self) -> float:
        """Seconds within which 99 % were counted."""
        return sorted(self._took)[int(len(self._took) * 0.99)]


def _ever() -> tuple[datetime, datetime]:
    return datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
