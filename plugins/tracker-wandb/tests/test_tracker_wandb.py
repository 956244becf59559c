"""W&B offline passes the conformance suite; its logs are read back by a reader of the tests' own."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # made at import

from mlops_core.exceptions import ExperimentError, MLOpsError
from mlops_core.records import Metric, RunKey, RunStatus, TrackBatch, TrackedRun
from mlops_core.testing.tracker_suite import _AT, _R1, TrackerSuite, _key, _metrics, _start
from mlops_tracker_wandb import WandbTracker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlops_core.roles import Tracker


def records(path: Path) -> Iterator[Any]:
    """Every record of one log."""
    data, parts = path.read_bytes(), b""
    for block in range(0, len(data), 32768):
        part, at = data[block : block + 32768], 7 if block == 0 else 0
        while at + 7 <= len(part):
            _, length, kind = struct.unpack_from("<IHB", part, at)
            if at + 7 + length > len(part):
                return  # cut off
            parts += part[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in {1, 4}:  # full, last
                record = Record()
                record.ParseFromString(parts)
                parts = b""
                yield record


def logs(folder: Path, tenant: str, experiment: str, run_id: str) -> list[Path]:
    """The logs of a run, oldest first."""
    found = (folder / tenant / experiment / "wandb").glob(f"*run-*/run-{run_id}-????????.wandb")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The history: one mapping per row."""
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            yield {item.nested_key[0] if item.nested_key else item.key: json.loads(item.value_json) for item in record.history.item}


def config(path: Path) -> dict[str, Any]:
    """The config as it is at the end."""
    found: dict[str, Any] = {}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        update = record.run.config.update if kind == "run" else record.config.update if kind == "config" else ()
        found |= {item.key: json.loads(item.value_json) for item in update}
    found.pop("_wandb", None)
    return found


def only(path: Path, kind: str) -> list[Any]:
    """The records of one kind."""
    return [getattr(record, kind) for record in records(path) if record.WhichOneof("record_type") == kind]


def children(pid: int | str) -> list[int]:
    return [int(child) for found in Path(f"/proc/{pid}/task").glob("*/children") for child in found.read_text().split()]


def processes() -> list[int]:
    """The processes of this one's trackers, each followed by W&B's service."""
    workers = [pid for pid in children("self") if b"mlops_tracker_wandb.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return [one for pid in workers for one in (pid, *children(pid))]


def lives(pid: int) -> bool:
    """Whether it runs; one that has ended and only waits to be counted does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_the_end(pids: Iterable[int]) -> None:
    deadline = time.monotonic() + 10
    while any(map(lives, pids)):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.01)


@pytest.fixture
def wandb(tmp_path: Path) -> Iterator[WandbTracker]:
    tracker = WandbTracker(mode="offline", dir=str(tmp_path / "wandb"))
    yield tracker
    pids = processes()
    tracker.close()
    wait_for_the_end(pids)


def files(tracker: Tracker, run: RunKey = _R1) -> list[Path]:
    assert isinstance(tracker, WandbTracker)
    return logs(Path(tracker.dir), run.tenant, run.experiment, run.run_id)


def history(tracker: Tracker, metric: str, run: RunKey = _R1) -> list[tuple[float, int]]:
    return [(row[metric], row["mlops_step"]) for path in files(tracker, run) for row in rows(path) if metric in row]


class TestWandbTracker(TrackerSuite):
    @pytest.fixture
    def tracker(self, wandb: WandbTracker) -> Tracker:
        return wandb

    def run(self, tracker: Tracker, run: RunKey = _R1) -> TrackedRun:
        """As a person reads it in W&B: the config, and of each metric the value at the highest step."""
        known = config(files(tracker, run)[-1])
        ours = known.pop("mlops")
        points: dict[str, tuple[int, float]] = {}
        for path in files(tracker, run):
            for row in rows(path):
                step = row.pop("mlops_step")
                for name, value in row.items():
                    points[name] = max(points.get(name, (step, value)), (step, value), key=lambda point: point[0])
        return TrackedRun(
            run_id=ours["run_id"],
            experiment=ours["experiment"],
            name=only(files(tracker, run)[-1], "run")[0].display_name,
            tenant=ours["tenant"],
            status=RunStatus(ours["status"]),
            started=datetime.fromisoformat(ours["started"]),
            ended=None if ours["ended"] is None else datetime.fromisoformat(ours["ended"]),
            params=known,
            metrics={name: value for name, (_, value) in points.items() if not name.startswith("_")},
            tags=ours["tags"],
            parent_run_id=ours["parent"],
        )

    def read_artifact(self, tracker: Tracker, run: RunKey, name: str) -> bytes:
        for artifact in reversed([one for path in files(tracker, run) for one in only(path, "artifact")]):
            stored = json.loads(artifact.metadata)["name"]
            if name == stored or name.startswith(f"{stored}/"):
                inside = name.rpartition("/")[2] if name == stored else name.removeprefix(f"{stored}/")
                (found,) = [entry for entry in artifact.manifest.contents if entry.path == inside]
                return Path(found.local_path).read_bytes()
        raise AssertionError(name)

    def read_history(self, tracker: Tracker, run: RunKey, metric: str) -> list[tuple[float, int]]:
        return history(tracker, metric, run)


def batch(sequence: int, size: int = 300, writer: str = "w") -> TrackBatch:
    """Losses at steps that go on from batch to batch; the value is the step."""
    steps = range(size * (sequence - 1), size * sequence)
    return TrackBatch(
        writer, sequence, params={f"p{sequence}": "1"}, metrics=tuple(Metric("loss", float(step), step, _AT) for step in steps)
    )


def points(batches: int, size: int = 300) -> list[tuple[float, int]]:
    return [(float(step), step) for step in range(batches * size)]


def test_building_one_does_nothing(tmp_path: Path) -> None:
    tracker = WandbTracker(mode="offline", dir=str(tmp_path / "wandb"))
    assert tracker.location() == str(tmp_path / "wandb")
    tracker.close()
    assert list(tmp_path.iterdir()) == []


def test_the_run_looks_native(wandb: WandbTracker) -> None:
    wandb.start_run(_start(tags={"team": "ü", "long": "x" * 100}))
    wandb.start_run(_start(_key("r2"), parent=_R1))
    wandb.write(_R1, TrackBatch("w", 1, tags={"notes": "all is well"}))
    wandb.end_run(_R1, RunStatus.INTERRUPTED, _AT)
    wandb.end_run(_key("r2"), RunStatus.FAILED, _AT)
    (log,), (child,) = files(wandb), files(wandb, _key("r2"))
    last = only(log, "run")[-1]
    assert (last.project, last.display_name, last.notes, list(last.tags)) == (
        "acme~e",
        "run r1",
        "all is well",
        ["team:ü", "notes:all is well"],
    )
    assert only(child, "run")[0].run_group == "r1"
    assert [only(path, "exit")[0].exit_code for path in (log, child)] == [255, 1]
    (axis,) = only(log, "metric")
    assert (axis.glob_name, axis.step_metric) == ("*", "mlops_step")


def test_steps_that_go_back_are_kept_in_the_order_they_came(wandb: WandbTracker) -> None:
    wandb.start_run(_start())
    steps = (5, 2**63 - 1, -(2**63), 5)
    wandb.write(_R1, TrackBatch("w", 1, metrics=tuple(Metric("loss", 0.1, step, _AT) for step in steps)))
    found = [row for path in files(wandb) for row in rows(path)]
    assert [row["mlops_step"] for row in found] == list(steps)
    assert [row["_step"] for row in found] == [0, 1, 2, 3]
    assert {row["_timestamp"] for row in found} == {_AT.timestamp()}


def test_ten_thousand_params(wandb: WandbTracker) -> None:
    wandb.start_run(_start())
    params = {f"p{n}": f"ü{n}" for n in range(10_000)}
    wandb.write(_R1, TrackBatch("w", 1, params=params))
    assert {name: value for name, value in config(files(wandb)[0]).items() if name != "mlops"} == params


def test_every_name_that_the_core_allows_is_kept_and_counted(tmp_path: Path) -> None:
    """Nothing of it is written again by a process that knows the batch from the log alone."""
    names = ("_x", "1", "a.b", "a.c", "a/b", "a b", "keys", "update", "step", "x-y", "A" * 250)
    sent = TrackBatch("w", 1, params=dict.fromkeys(names, "1"), metrics=tuple(Metric(name, 0.5, 1, _AT) for name in names))
    tracker = WandbTracker(mode="offline", dir=str(tmp_path))
    for _ in range(2):
        tracker.start_run(_start())
        tracker.write(_R1, sent)
        tracker.close()
    assert {name: history(tracker, name) for name in names} == {name: [(0.5, 1)] for name in names}
    assert set(config(files(tracker)[-1])) == {*names, "mlops"}


def test_an_artifact_has_aliases(wandb: WandbTracker, tmp_path: Path) -> None:
    wandb.start_run(_start())
    (tmp_path / "a.txt").write_text("one")
    wandb.put_artifact(_R1, "model/a file.txt", tmp_path / "a.txt")
    wandb.put_artifact(_R1, "plain.txt", tmp_path / "a.txt")
    first, second = only(files(wandb)[0], "artifact")
    assert (first.type, sorted(first.aliases), json.loads(first.metadata)["name"]) == ("model", ["latest", "r1"], "model/a file.txt")
    assert first.name.startswith("model-a-file.txt-")
    assert (second.type, second.name, [entry.path for entry in second.manifest.contents]) == ("file", "plain.txt", ["plain.txt"])


def test_an_artifact_that_is_gone_is_refused(wandb: WandbTracker, tmp_path: Path) -> None:
    wandb.start_run(_start())
    with pytest.raises(ExperimentError, match=r"artifact 'a\.txt': Path is not a file"):
        wandb.put_artifact(_R1, "a.txt", tmp_path / "a.txt")
    wandb.write(_R1, TrackBatch("w", 1, params={"a": "1"}))
    assert len(files(wandb)) == 1


@pytest.mark.parametrize("bad", [TrackBatch("w", 1, params={"mlops": "1"}), TrackBatch("w", 1, metrics=_metrics("_step", [1]))])
def test_a_name_that_is_taken_is_refused(wandb: WandbTracker, bad: TrackBatch) -> None:
    wandb.start_run(_start())
    with pytest.raises(ExperimentError, match=r"keeps the name '(mlops|_step)' for itself - choose another"):
        wandb.write(_R1, bad)
    wandb.write(_R1, TrackBatch("w", 1, params={"a": "1"}))
    assert config(files(wandb)[0])["a"] == "1"


def test_an_unknown_run_is_refused(wandb: WandbTracker) -> None:
    with pytest.raises(ExperimentError, match="no run 'r9' of 'e'"):
        wandb.write(_key("r9"), TrackBatch("w", 1, tags={"a": "b"}))


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.5, 0.77, 0.99, 1.0])
def test_a_log_that_was_cut_off_anywhere_is_continued(tmp_path: Path, share: float) -> None:
    """What is in it is not written again, what is not is: nothing twice, nothing lost."""
    first = WandbTracker(mode="offline", dir=str(tmp_path))
    first.start_run(_start())
    for sequence in (1, 2, 3):
        first.write(_R1, batch(sequence))
    first.close()
    (log,) = files(first)
    os.truncate(log, int(log.stat().st_size * share))
    again = WandbTracker(mode="offline", dir=str(tmp_path))
    again.start_run(_start())
    for sequence in (1, 2, 3):
        again.write(_R1, batch(sequence))
    again.close()
    assert history(again, "loss") == points(3)
    (_, newer) = files(again)
    assert {"p1", "p2", "p3"} <= set(config(newer))
    assert [row["_step"] for path in (log, newer) for row in rows(path)] == list(range(900))


def test_a_batch_that_was_cut_off_is_continued_record_by_record(tmp_path: Path) -> None:
    """The core sends the records of a batch one by one in the end."""
    first = WandbTracker(mode="offline", dir=str(tmp_path))
    first.start_run(_start())
    first.write(_R1, TrackBatch("w", 900, metrics=tuple(one for n in (1, 2, 3) for one in batch(n).metrics)))
    first.close()
    (log,) = files(first)
    os.truncate(log, log.stat().st_size // 2)
    again = WandbTracker(mode="offline", dir=str(tmp_path))
    for sequence in (1, 2, 3):
        again.write(_R1, batch(sequence))
    again.close()
    assert history(again, "loss") == points(3)


@pytest.mark.parametrize("which", [0, 1], ids=["worker", "service"])
def test_a_process_that_is_killed_is_replaced(wandb: WandbTracker, which: int) -> None:
    wandb.start_run(_start())
    wandb.write(_R1, batch(1))
    old = processes()
    os.kill(old[which], signal.SIGKILL)
    with pytest.raises(MLOpsError, match=r"W&B cannot be used \(.*\) - check 'dir'$") as caught:
        wandb.write(_R1, batch(2))
    assert not isinstance(caught.value, ExperimentError)
    wait_for_the_end(old)
    for sequence in (1, 2):
        wandb.write(_R1, batch(sequence))
    wandb.end_run(_R1, RunStatus.FINISHED, _AT)
    assert history(wandb, "loss") == points(2)
    assert [one.exit_code for path in files(wandb) for one in only(path, "exit")] == [0]


def test_two_processes_write_to_a_run_at_once(wandb: WandbTracker) -> None:
    """As a forked child does: each has a session of its own, and neither takes what is the other's."""
    wandb.start_run(_start())
    wandb.write(_R1, batch(1))
    child = WandbTracker(mode="offline", dir=wandb.dir)
    child.start_run(_start(join=True))
    child.write(_R1, batch(1, writer="child"))
    wandb.write(_R1, batch(2))
    child.close()
    wandb.end_run(_R1, RunStatus.FINISHED, _AT)
    wandb.close()
    wandb.write(_R1, batch(1))
    wandb.write(_R1, batch(2))
    wandb.write(_R1, batch(1, writer="child"))
    assert sorted(history(wandb, "loss")) == sorted(points(2) + points(1))
    assert config(files(wandb)[-1])["mlops"]["status"] == "finished"


def test_a_forked_child_has_a_process_of_its_own(wandb: WandbTracker) -> None:
    wandb.start_run(_start())
    wandb.write(_R1, batch(1))
    pid = os.fork()
    if pid == 0:
        try:
            wandb.start_run(_start(join=True))
            wandb.write(_R1, batch(1, writer="child"))
            pids = processes()
            wandb.close()
            os._exit(int(any(map(lives, pids))))
        finally:
            os._exit(9)
    assert os.waitpid(pid, 0)[1] == 0
    wandb.write(_R1, batch(2))
    assert sorted(history(wandb, "loss")) == sorted(points(2) + points(1))


def test_threads_write_to_many_runs(wandb: WandbTracker) -> None:
    def work(number: int) -> None:
        run = _key(f"t{number}")
        wandb.start_run(_start(run))
        for sequence in (1, 2):
            wandb.write(run, batch(sequence, 50))
        wandb.end_run(run, RunStatus.FINISHED, _AT)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [history(wandb, "loss", _key(f"t{number}")) for number in range(6)] == [points(2, 50)] * 6


_PROGRAM = """
import os, sys, threading
from mlops_core.records import RunStatus
from mlops_core.testing.tracker_suite import _AT, _R1, _metrics, _start
from mlops_core.records import TrackBatch
from mlops_tracker_wandb import WandbTracker
before = dict(os.environ), sys.excepthook, sys.exit, sys.stdout
tracker = WandbTracker(mode="offline", dir=sys.argv[1], base_url=sys.argv[2])
tracker.check()
tracker.start_run(_start())
tracker.write(_R1, TrackBatch("w", 1, metrics=_metrics("loss", [1, 2])))
print(tracker._worker._process.pid, flush=True)
if len(sys.argv) > 3:
    os.kill(os.getpid(), 9)
tracker.end_run(_R1, RunStatus.FINISHED, _AT)
tracker.close()
assert (dict(os.environ), sys.excepthook, sys.exit, sys.stdout) == before
assert not [name for name in sys.modules if name == "wandb" or name.startswith("wandb.")]
assert threading.active_count() == 1, threading.enumerate()
"""


def test_the_program_and_the_network_see_nothing_of_it(tmp_path: Path) -> None:
    """Neither variables, hooks, modules, threads nor output of the program, nor its home, nor the server."""
    home = tmp_path / "home"
    home.mkdir()
    mine = {"WANDB_RUN_ID": "mine", "WANDB_SERVICE": "3-1-unix-/nowhere", "WANDB_PROJECT": "mine", "WANDB_MODE": "online"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        command = [sys.executable, "-c", _PROGRAM, str(tmp_path / "wandb"), f"http://127.0.0.1:{server.getsockname()[1]}"]
        done = subprocess.run(command, env={**os.environ, **mine, "HOME": str(home)}, capture_output=True, text=True, check=False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert (done.returncode, done.stderr, len(done.stdout.split())) == (0, "", 1)
    assert list(home.iterdir()) == []
    assert len(logs(tmp_path / "wandb", "acme", "e", "r1")) == 1


def test_nothing_is_left_of_a_program_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path), "http://127.0.0.1:9", "die"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
    wait_for_the_end([int(done.stdout)])
    (log,) = logs(tmp_path, "acme", "e", "r1")
    assert [row["loss"] for row in rows(log)] == [1, 2]
    assert only(log, "exit") == []


_TRAINING = """
import os, sys
from mlops_core import ExperimentTracker
tracker = ExperimentTracker()
if sys.argv[1] == "train":
    run = tracker.start_run("training", experiment="e", run_id="r1")
    for step in range(1000):
        run.log_metrics({"loss": 1 / (1 + step)}, step=step)
    os.kill(os.getpid(), 9)
assert tracker.recover() == (sys.argv[1] == "recover")
assert tracker.flush()
tracker.close()
"""


def test_a_program_that_was_killed_loses_no_metric(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text("version: 1\nproject: tickets\ntenant: acme\ntracker: {use: wandb, mode: offline}\n")
    for what, code in (("train", -signal.SIGKILL), ("recover", 0)):
        done = subprocess.run([sys.executable, "-c", _TRAINING, what], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
    found = logs(tmp_path / ".mlops" / "wandb", "acme", "e", "r1")
    assert [(row["loss"], row["mlops_step"]) for path in found for row in rows(path)] == [(1 / (1 + step), step) for step in range(1000)]
    assert config(found[-1])["mlops"]["status"] == "interrupted"
    assert [one.exit_code for one in only(found[-1], "exit")] == [255]
