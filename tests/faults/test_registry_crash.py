"""A registering process or its server is killed at every step: nothing acknowledged is lost, nothing half is seen, a retry completes."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from mlops_core.records import File, Query
from mlops_core.testing.registry_samples import put, sample_version
from mlops_core.testing.servers import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Place, Writer

    Places = Callable[[str, Path], Place]

KINDS = ("sqlite", "postgres")
FILES = ("fsync", "replace", "mkdir", "unlink")
POINTS = {"sqlite": (*FILES, "begin", "run", "commit"), "postgres": (*FILES, "begin", "run", "commit", "wait")}
ROUNDS = 2

LITTLE_SPACE = """
import resource, sys
from mlops_core.exceptions import MLOpsError
from mlops_core.testing.registry_samples import put
from mlops_registry_sql.postgres import PostgresRegistry

store = PostgresRegistry(sys.argv[1], sys.argv[2], schema=sys.argv[3])
store.check()
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
try:
    put(store, b"w" * 300_000)
except MLOpsError as error:
    print(f"{type(error).__name__}: {error.message}")
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)  # what measures the process writes at its end
"""


@pytest.fixture(scope="module")
def passes(writer: Writer, place_of: Places, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, int]]:
    """How often a writer of a kind that is left alone passes each point."""
    known: dict[str, dict[str, int]] = {}

    def count(kind: str) -> dict[str, int]:
        if kind not in known:
            place = place_of(kind, tmp_path_factory.mktemp("alone"))
            assert writer.run(place) == {"signal": 0, "code": 0}
            known[kind] = json.loads((place.folder / "passed").read_text())
        return known[kind]

    return count


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "point"), [(kind, point) for kind, points in POINTS.items() for point in points])
def test_killed_at_every_step(
    writer: Writer,
    passes: Callable[[str], dict[str, int]],
    place_of: Places,
    tmp_path: Path,
    fault_rounds: int,
    kind: str,
    point: str,
    when: str,
) -> None:
    name = f"{point}.{when}"
    passed = passes(kind)[name]
    assert passed >= 1
    # Both kinds share what happens to files: with few rounds, a database server's cost is spent where it is passed.
    for nth in range(1, passed + 1, max(1, passed // (fault_rounds if kind == "sqlite" else max(1, fault_rounds // 2)))):
        place = place_of(kind, tmp_path / f"{nth}")
        assert writer.run(place, point=name, nth=nth)["signal"] == signal.SIGKILL
        place.check_promises()
        place.check_retry(writer)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_moments_beside_another_writer(
    writer: Writer, rival: Writer, place_of: Places, tmp_path: Path, fault_rounds: int, kind: str
) -> None:
    rng = random.Random(20240501)
    for turn in range(2 * fault_rounds):
        place = place_of(kind, tmp_path / f"{turn}")
        rival.begin(place, worker=1, rounds=ROUNDS)
        writer.run(place, worker=0, seconds=rng.uniform(0, 0.08 if kind == "sqlite" else 0.3))
        assert rival.end() == {"signal": 0, "code": 0}
        place.check_promises()
        place.check_retry(writer, workers=2)


@pytest.mark.parametrize("kind", KINDS)
def test_both_killed_at_random_moments_on_one_growing_registry(
    writer: Writer, rival: Writer, place_of: Places, tmp_path: Path, fault_rounds: int, kind: str
) -> None:
    rng = random.Random(7)
    place = place_of(kind, tmp_path / "growing")
    for _ in range(2 * fault_rounds):
        rival.begin(place, worker=1, rounds=ROUNDS, seconds=rng.uniform(0, 0.1 if kind == "sqlite" else 0.3))
        writer.run(place, worker=0, seconds=rng.uniform(0, 0.1 if kind == "sqlite" else 0.3))
        rival.end()
        place.check_promises()
    place.check_retry(writer, workers=2)


def test_the_server_is_killed_at_random_moments_while_two_write(
    writer: Writer, rival: Writer, place_of: Places, tmp_path: Path, fault_rounds: int
) -> None:
    """Whoever writes is told by one line of ours; the database folder is the one that the killed server left."""
    rng, rounds, interrupted = random.Random(11), 12, 0
    with PostgresServer() as server:
        url = server.database()
        for turn in range(fault_rounds):
            place = place_of(url, tmp_path / f"{turn}")
            with closing(place.open()) as store:
                store.check()
            for number, one in enumerate((writer, rival)):
                one.begin(place, worker=number, rounds=rounds)
            time.sleep(rng.uniform(0.02, 0.4))
            server.kill()
            ended = [one.end() for one in (writer, rival)]
            assert all(one["signal"] == 0 and one["code"] in {0, 2} for one in ended), ended
            interrupted += sum(one["code"] == 2 for one in ended)
            server.start()
            place.check_promises()
            place.check_retry(writer, workers=2, rounds=rounds)
    assert interrupted
    assert not server.folder.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


def test_a_full_disk_of_artifacts_is_one_line_and_half_of_nothing(place_of: Places, tmp_path: Path) -> None:
    place = place_of("postgres", tmp_path / "full")
    command = [sys.executable, "-c", LITTLE_SPACE, place.url, str(place.folder / "artifacts"), place.schema]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("VersioningError: registry.postgres: ")
    assert "File too large" in done.stdout
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")
    assert place.temporary() == []
    with closing(place.open()) as store:
        assert store.find_versions("acme", Query()).items == ()
        store.add_version(sample_version(version="1", number=1, files=(File("a", put(store, b"w" * 300_000)),)))
    place.check_promises()
