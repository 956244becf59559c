"""The spool: what is appended is read back, whatever kills the writer."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_core.exceptions import MLOpsError
from mlops_core.spool import Mark, Spool, abandoned

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
from mlops_core.spool import Spool
spool = Spool.open(Path(sys.argv[1]), "run")
for n in range(100_000):
    print(spool.append({"n": n}), flush=True)
"""


def test_records_come_back_in_order(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")
    assert [spool.append({"n": n, "text": "ü\n"}) for n in range(3)] == [1, 2, 3]
    assert list(spool.read(after=1)) == [(2, {"n": 1, "text": "ü\n"}), (3, {"n": 2, "text": "ü\n"})]
    assert spool.last == 3


def test_not_a_number_and_infinity_survive(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")
    spool.append({"v": [math.nan, math.inf, -math.inf]})
    ((_, record),) = spool.read()
    assert math.isnan(record["v"][0])
    assert record["v"][1:] == [math.inf, -math.inf]


def test_a_follower_keeps_its_place(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")
    for n in range(4):
        spool.append({"n": n})
    follower = spool.follow(after=1)
    assert [sequence for sequence, _ in follower.take(2)] == [2, 3]
    assert [sequence for sequence, _ in follower.take(9)] == [4]
    assert follower.take(9) == []
    spool.append({"n": 4})
    assert follower.take(9) == [(5, {"n": 4})]
    follower.close()


def test_two_owners_at_once_are_refused(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")
    with pytest.raises(MLOpsError, match="belongs to a live process"):
        Spool.open(tmp_path, "run")
    assert list(abandoned(tmp_path)) == []
    spool.close()
    spool.close()
    (again,) = abandoned(tmp_path)
    assert again.writer == spool.writer


@pytest.mark.parametrize("made", [b"", b"0 1234"])
def test_a_spool_that_is_being_made_is_left_to_its_maker(tmp_path: Path, made: bytes) -> None:
    path = tmp_path / "run.spool"
    path.write_bytes(made)
    assert list(abandoned(tmp_path)) == []
    os.utime(path, (0, 0))
    (left,) = abandoned(tmp_path)
    assert left.append({}) == 1
    left.remove()


@pytest.mark.parametrize("tail", [b"4 0000", b"4 00000000 {}\n", b"9 " + b"0" * 8 + b" {}\n", b"\xff\xfe\n"])
def test_a_torn_end_is_cut_off_and_writing_goes_on(tmp_path: Path, tail: bytes) -> None:
    spool = Spool.open(tmp_path, "run")
    for n in range(3):
        spool.append({"n": n})
    spool.close()
    with spool.path.open("ab") as stream:
        stream.write(tail)
    again = Spool.open(tmp_path, "run")
    assert again.append({"n": 3}) == 4
    assert [record["n"] for _, record in again.read()] == [0, 1, 2, 3]


@pytest.mark.parametrize(("line", "left"), [(0, [0, 1, 2, 3, 4]), (3, [0, 1, 3, 4]), (5, [0, 1, 2, 3])])
def test_a_damaged_line_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture, line: int, left: list[int]) -> None:
    spool = Spool.open(tmp_path, "run")
    for n in range(5):
        spool.append({"n": n})
    spool.set_mark("a", Mark(0, 5))
    spool.close()
    lines = spool.path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"', b"'", 1)
    spool.path.write_bytes(b"".join(lines))
    writers = set()
    for _ in range(2):
        (again,) = abandoned(tmp_path)
        writers.add(again.writer)
        assert [record["n"] for _, record in again.read()] == left
        again.close()
    assert len(writers) == 1
    assert (tmp_path / "run.damaged").read_bytes() == b"".join(lines)
    (message,) = caplog.messages
    assert "run.spool: 1 damaged lines are left out" in message
    last = Spool.open(tmp_path, "run")
    assert last.append({"n": 5}) == 6
    assert [record["n"] for _, record in last.read()] == [*left, 5]
    with closing(last.follow(after=1)) as follower:
        assert [sequence for sequence, _ in follower.take(9, upto=3)] == ([2] if line == 3 else [2, 3])
        assert [sequence for sequence, _ in follower.take(1)] == [4]
    last.close()


def test_a_file_torn_in_its_header_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "run.spool").write_bytes(b"0 1234")
    spool = Spool.open(tmp_path, "run")
    assert spool.append({}) == 1


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    import json
    import zlib

    body = json.dumps({"version": 2, "writer": "x"}).encode()
    (tmp_path / "run.spool").write_bytes(b"0 %08x %s\n" % (zlib.crc32(body), body))
    with pytest.raises(MLOpsError, match=r"newer release \(format 2\) - upgrade"):
        Spool.open(tmp_path, "run")
    assert list(abandoned(tmp_path)) == []


def test_marks_are_kept_per_consumer(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")
    assert spool.mark("mlflow") == Mark(0, 0)
    spool.set_mark("mlflow", Mark(2, 5))
    spool.set_mark("mlflow", Mark(5, 5))
    spool.set_mark("wandb", Mark(1, 1))
    assert (spool.mark("mlflow"), spool.mark("wandb")) == (Mark(5, 5), Mark(1, 1))
    (tmp_path / "run.spool.wandb").write_text("torn")
    assert spool.mark("wandb") == Mark()


def test_remove_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")
    spool.set_mark("a", Mark(1, 1))
    spool.remove()
    assert list(tmp_path.iterdir()) == []
    assert Spool.open(tmp_path, "run").last == 0


def test_a_full_disk_is_one_line_and_the_spool_goes_on(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")
    spool.append({"n": 0})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (spool.path.stat().st_size + 10, hard))
    try:
        with pytest.raises(MLOpsError, match=r"cannot write run.spool: .* - free space and call again"):
            spool.append({"text": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert spool.append({"n": 1}) == 2
    assert [record for _, record in spool.read()] == [{"n": 0}, {"n": 1}]


def test_many_threads_leave_no_gap(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")

    def work(name: int) -> None:
        for n in range(200):
            spool.append({"thread": name, "n": n})

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = list(spool.read())
    assert [sequence for sequence, _ in records] == list(range(1, 1601))
    for name in range(8):
        assert [record["n"] for _, record in records if record["thread"] == name] == list(range(200))


@pytest.mark.parametrize("lines", [1, 7, 300])
def test_everything_acknowledged_outlives_a_kill(tmp_path: Path, lines: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, start_new_session=True)
    assert writer.stdout is not None
    for _ in range(lines):
        acknowledged = int(writer.stdout.readline())
    os.killpg(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read().splitlines(keepends=True)
    acknowledged = max([acknowledged, *(int(line) for line in rest if line.endswith(b"\n"))])
    writer.wait()
    writer.stdout.close()
    (spool,) = abandoned(tmp_path)
    numbers = [record["n"] for _, record in spool.read()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= acknowledged


def _child(spool: Spool, answer: multiprocessing.SimpleQueue[bool]) -> None:
    answer.put(spool.mine)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_knows_that_the_spool_is_not_its_own(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")
    context = multiprocessing.get_context("fork")
    answer: multiprocessing.SimpleQueue[bool] = context.SimpleQueue()
    child = context.Process(target=_child, args=(spool, answer))
    child.start()
    assert answer.get() is False
    child.join()
    assert spool.mine


def _hold(waits: multiprocessing.SimpleQueue[None]) -> None:
    waits.get()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_keep_what_its_parent_gave_up(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "run")
    context = multiprocessing.get_context("fork")
    waits: multiprocessing.SimpleQueue[None] = context.SimpleQueue()
    child = context.Process(target=_hold, args=(waits,))
    child.start()
    spool.close()
    taken = list(abandoned(tmp_path))
    waits.put(None)
    child.join()
    assert [one.writer for one in taken] == [spool.writer]
    taken[0].remove()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(records=st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans()), max_size=8), cut=st.integers(0, 400))
def test_any_cut_leaves_a_prefix(tmp_path: Path, records: list[dict[str, object]], cut: int) -> None:
    for old in tmp_path.glob("*"):
        old.unlink()
    spool = Spool.open(tmp_path, "run")
    for record in records:
        spool.append(record)
    spool.close()
    os.truncate(spool.path, max(0, spool.path.stat().st_size - cut))
    again = Spool.open(tmp_path, "run")
    kept = [record for _, record in again.read()]
    assert kept == records[: len(kept)]
    again.close()
