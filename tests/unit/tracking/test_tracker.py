"""The facade: experiments, the implicit run, search, tenants, and what a broken tracker does to it."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.clock import SystemClock
from mlops_core.exceptions import ConfigError, ExperimentError, PluginError
from mlops_core.records import RunKey, RunStart, RunStatus
from mlops_core.spool import Spool
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.testing.stack import make_stack
from mlops_core.tracking import ExperimentTracker
from mlops_core.tracking.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlops_core.records import TrackBatch
    from mlops_core.roles import Tracker
    from mlops_core.stack import Stack


class Down(MemoryTracker):
    """Out of reach until ``up`` is set."""

    up = False

    def ensure_experiment(self, tenant: str, name: str, tags: Any) -> str:
        if not self.up:
            raise ConnectionError("connection refused\nand more")
        return super().ensure_experiment(tenant, name, tags)


class Picky(MemoryTracker):
    """Refuses one metric for good."""

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        if any(metric.name == "bad" for metric in batch.metrics):
            raise ExperimentError("tracker picky: 'bad' is refused")
        super().write(run, batch)


class Slow(MemoryTracker):
    """Notes which thread prepares it, and refuses to be used by one before that has ended."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.failure, self.prepared_by = failure, list[str]()

    def prepare(self) -> None:
        if self.failure is not None:
            raise self.failure
        time.sleep(0.05)
        self.prepared_by.append(threading.current_thread().name)

    def start_run(self, run: RunStart) -> None:
        assert self.prepared_by
        super().start_run(run)


class Mute(MemoryTracker):
    """Cannot search."""

    capabilities = frozenset()


def facade(root: Path, **trackers: Tracker) -> ExperimentTracker:
    return ExperimentTracker(stack=make_stack(root, trackers=trackers, clock=SystemClock()))


def test_the_specification_s_example(tracker: ExperimentTracker, tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"model")
    created = tracker.create_experiment("ticket_classifier_v1", tags={"model_type": "classification", "dataset": "tickets_2024"})
    tracker.log_params({"n_estimators": 100})
    tracker.log_metrics({"accuracy": 0.95, "f1": 0.935}, step=1)
    tracker.log_artifacts({"model": tmp_path / "model.joblib"})
    (found,) = tracker.search_experiments(filter_string="model_type='classification'")
    assert found.name == "ticket_classifier_v1"
    assert tracker.create_experiment("ticket_classifier_v1") == created == found.experiment_id
    assert tracker.search_experiments(f"experiment_id = '{created}'") == (found,)
    assert tracker.search_experiments(f"experiment_id != '{created}'") == ()
    (run,) = tracker.search_runs(experiment="ticket_classifier_v1")
    assert (run.params, run.metrics) == ({"n_estimators": "100"}, {"accuracy": 0.95, "f1": 0.935})


def test_artifacts_are_kept_as_they_were_when_logged(tracker: ExperimentTracker, memory: MemoryTracker, tmp_path: Path) -> None:
    file = tmp_path / "model.joblib"
    file.write_bytes(b"before")
    tracker.log_artifacts({"model": file})
    file.write_bytes(b"after")
    run = tracker.active_run.key
    tracker.close()
    assert memory.read_artifact(run, "model/model.joblib") == b"before"


def test_the_thread_that_begins_to_track_prepares_the_tracker(tmp_path: Path) -> None:
    slow = Slow()
    tracker = facade(tmp_path, slow=slow)
    assert slow.prepared_by == []
    with tracker:
        threads = [threading.Thread(target=lambda: tracker.start_run().end(), name=f"mine-{n}") for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert tracker.flush()
        assert len(tracker.search_runs()) == 4
        known = len(slow.prepared_by)
        tracker.log_metrics({"a": 1})
    assert len(slow.prepared_by) == known <= 4
    assert all(name.startswith("mine-") for name in slow.prepared_by)


def test_a_tracker_is_prepared_for_what_is_left_and_for_nothing_else(tmp_path: Path) -> None:
    slow = Slow()
    with facade(tmp_path, slow=slow) as tracker:
        assert tracker.recover() == 0
        assert (slow.prepared_by, list(tmp_path.iterdir())) == ([], [])
        left = Spool.open(tmp_path / ".mlops" / "spool" / "tracking" / "acme", "r1.dead")
        key = RunKey("acme", "default", "r1")
        left.append({"kind": "start", "start": RunStart(key, "n", datetime(2024, 1, 1, tzinfo=UTC)).to_dict()})
        left.close()
        assert (tracker.recover(), tracker.recover()) == (1, 0)
        assert tracker.flush()
    assert slow.prepared_by == [threading.current_thread().name]
    assert slow.runs[key].status is RunStatus.INTERRUPTED


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (PluginError("tracker slow: it cannot be imported"), "^tracker slow: it cannot be imported$"),
        (OSError("x\ny"), "^tracker: OSError: x - "),
    ],
)
def test_a_tracker_that_cannot_be_prepared_is_one_line_and_begins_nothing(tmp_path: Path, failure: Exception, said: str) -> None:
    with facade(tmp_path, slow=Slow(failure), memory=MemoryTracker()) as tracker:
        for call in (tracker.start_run, tracker.search_runs):
            with pytest.raises(ExperimentError, match=said):
                call()
    assert list(tmp_path.iterdir()) == []


def test_closing_ends_the_implicit_run_and_leaves_no_spool(tracker: ExperimentTracker, memory: MemoryTracker, stack: Stack) -> None:
    tracker.log_metrics({"a": 1})
    run = tracker.active_run.key
    tracker.close()
    tracker.close()
    assert memory.runs[run].status is RunStatus.FINISHED
    assert [path for path in (stack.workdir / "spool").rglob("*") if path.is_file()] == []


def test_end_run_begins_another(tracker: ExperimentTracker) -> None:
    first = tracker.active_run
    tracker.end_run("failed")
    assert first.status is RunStatus.FAILED
    assert tracker.active_run.run_id != first.run_id
    tracker.end_run()
    tracker.end_run()


def test_a_raising_block_ends_the_implicit_run_as_failed(stack: Stack, memory: MemoryTracker) -> None:
    def block() -> None:
        with ExperimentTracker(stack=stack) as tracker:
            tracker.log_metrics({"a": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert [run.status for run in memory.runs.values()] == [RunStatus.FAILED]


def test_tenants_are_apart(stack: Stack) -> None:
    with ExperimentTracker(stack=stack) as one, ExperimentTracker(tenant_id="other", stack=stack) as other:
        one.create_experiment("e")
        one.log_metrics({"a": 1})
        run = one.active_run.key
        one.flush()
        assert other.search_experiments() == ()
        assert other.search_runs() == ()
        with pytest.raises(ExperimentError, match=f"no run '{run.run_id}' of tenant 'other'"):
            other.get_run(run.run_id)
        assert one.create_experiment("e") != other.create_experiment("e")


def test_the_same_run_id_in_another_tenant_is_another_run(stack: Stack) -> None:
    with ExperimentTracker(stack=stack) as one, ExperimentTracker(tenant_id="other", stack=stack) as other:
        for tracker, value in ((one, 1), (other, 2)):
            with tracker.start_run(run_id="nightly", experiment="e") as run:
                run.log_metrics({"a": value})
        assert (one.get_run("nightly").metrics, other.get_run("nightly").metrics) == ({"a": 1.0}, {"a": 2.0})


def test_a_run_id_in_several_experiments_needs_the_experiment(tracker: ExperimentTracker) -> None:
    for experiment, loss in (("us", 2), ("eu", 1)):
        with tracker.start_run(run_id="nightly", experiment=experiment) as run:
            run.log_metrics({"loss": loss})
    assert tracker.get_run("nightly", experiment="us").metrics == {"loss": 2.0}
    for ask in (tracker.get_run, lambda run_id: tracker.compare_runs([run_id])):
        with pytest.raises(ExperimentError, match="run 'nightly' is in several experiments: eu, us - give the experiment as well"):
            ask("nightly")
    assert tracker.compare_runs(["nightly"], experiment="eu").runs[0].metrics == {"loss": 1.0}


def test_best_and_comparison(tracker: ExperimentTracker) -> None:
    ids = []
    for depth, loss in [(3, 0.5), (5, 0.2), (9, 0.4)]:
        with tracker.start_run(tags={"team": "a"}) as run:
            run.log_params({"depth": depth, "seed": 1})
            run.log_metrics({"loss": loss, "rows": 10})
            ids.append(run.run_id)
    with tracker.start_run():
        pass
    best = tracker.best_run("loss", maximize=False)
    assert best is not None
    assert best.run_id == ids[1]
    assert tracker.best_run("loss", filter_string="team = 'b'") is None
    assert tracker.best_run("nothing") is None
    compared = tracker.compare_runs(ids)
    assert compared.params == {"depth": ("3", "5", "9")}
    assert compared["metrics"] == {"loss": (0.5, 0.2, 0.4)}


def test_a_tracker_that_is_down_costs_a_warning_and_catches_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    down, good = Down(), MemoryTracker()
    with caplog.at_level(logging.WARNING, logger="mlops_core"), facade(tmp_path, down=down, good=good) as tracker:
        tracker.create_experiment("e")
        tracker.log_metrics({"a": 1})
        run = tracker.active_run.key
        assert tracker.flush(timeout=0.5) is False
        assert good.runs[run].metrics == {"a": 1.0}
        assert run not in down.runs
        down.up = True
        assert tracker.flush() is True
    assert down.runs[run].metrics == {"a": 1.0}
    assert down.history == good.history
    warnings = [record.getMessage() for record in caplog.records]
    assert "tracker down: cannot be reached (ConnectionError: connection refused) - the run goes on" in warnings[0]
    assert all("\n" not in warning for warning in warnings)


def test_what_was_not_delivered_is_sent_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_core.tracking.tracker._WAIT", 0.2)
    down = Down()
    with facade(tmp_path, down=down) as tracker:
        tracker.log_metrics({"a": 1})
        run = tracker.active_run.key
    down.up = True
    with facade(tmp_path, down=down) as again:
        assert again.get_run(run.run_id).metrics == {"a": 1.0}
        assert again.get_run(run.run_id).status is RunStatus.FINISHED
    assert len(down.history[run]) == 1


def test_a_refused_record_takes_no_neighbour_along(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picky = Picky()
    with caplog.at_level(logging.WARNING, logger="mlops_core"), facade(tmp_path, picky=picky) as tracker:
        for name in ["a", "bad", "b"]:
            tracker.log_metrics({name: 1})
        run = tracker.active_run.key
        tracker.flush()
    assert picky.runs[run].metrics == {"a": 1.0, "b": 1.0}
    assert "refused a record: tracker picky: 'bad' is refused" in caplog.text


def test_sync_mode_raises_what_was_not_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_core.tracking.tracker._WAIT", 0.2)
    picky = Picky()
    with ExperimentTracker(stack=make_stack(tmp_path, trackers={"picky": picky}, clock=SystemClock()), mode="sync") as tracker:
        tracker.log_metrics({"a": 1})
        assert picky.runs[tracker.active_run.key].metrics == {"a": 1.0}
        with pytest.raises(ExperimentError, match="not delivered: picky: tracker picky: 'bad' is refused"):
            tracker.log_metrics({"bad": 1})


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t: t.create_experiment("../x"), "experiment: '../x' is not a name"),
        (lambda t: t.create_experiment(3), "experiment: expected text, got int"),
        (lambda t: t.start_run(run_id="a b"), "run: 'a b' is not a name"),
        (lambda t: t.search_runs("loss <"), "filter: column 7"),
        (lambda t: t.search_runs("a = 1", limit=0), "limit 0"),
        (lambda t: t.get_run("nope"), "no run 'nope' of tenant 'acme'"),
        (lambda t: t.compare_runs(None), "expected the ids of runs, got NoneType"),
        (lambda t: t.compare_runs("r1"), "expected the ids of runs, got str - give a list"),
        (lambda t: t.flush("x"), "timeout 'x' is no number of seconds"),
        (lambda t: t.log_metrics({"a": "x"}), "metric 'a' must be a number"),
        (lambda t: t.log_metrics({"a": 1}, step=1.5), "step 1.5 is not a whole number"),
        (lambda t: t.log_artifacts({"m": "/does/not/exist"}), "does not exist"),
        (lambda t: t.end_run("done") if t.active_run else None, "'done' is no status that a run ends with"),
    ],
)
def test_a_mistake_is_one_line_and_the_run_goes_on(tracker: ExperimentTracker, call: Any, says: str) -> None:
    with pytest.raises(ExperimentError, match=says) as caught:
        call(tracker)
    assert "\n" not in caught.value.message
    tracker.log_metrics({"fine": 1})
    assert tracker.get_run(tracker.active_run.run_id).metrics == {"fine": 1.0}


def test_wrong_construction(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="mode 'fast' is not known"):
        ExperimentTracker(stack=make_stack(tmp_path), mode="fast")  # type: ignore[arg-type]
    with pytest.raises(ExperimentError, match="none is configured - add for example 'tracker: mlflow'"):
        ExperimentTracker(stack=make_stack(tmp_path)).log_params({"a": 1})
    for uri in (5, b"x"):
        with pytest.raises(ExperimentError, match=r"tracking_uri: expected text or a path, got (int|bytes) - give"):
            ExperimentTracker(uri, stack=make_stack(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(ExperimentError, match=r"tenant: '../x' is not a name"):
        ExperimentTracker(tenant_id="../x", stack=make_stack(tmp_path))
    with (
        facade(tmp_path, mute=Mute()) as tracker,
        pytest.raises(ExperimentError, match="mute cannot search - add one that can"),
    ):
        tracker.search_runs()


def test_whatever_a_backend_raises_is_wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryTracker()
    with facade(tmp_path, memory=memory) as tracker:

        def broken(*_: object) -> Iterator[object]:
            raise RuntimeError("boom\nand a second line")

        monkeypatch.setattr(MemoryTracker, "find_runs", broken)
        with pytest.raises(ExperimentError, match="RuntimeError: boom - `mlops check --connect`") as caught:
            tracker.search_runs()
        assert isinstance(caught.value.__cause__, RuntimeError)

        def refuses(*_: object) -> Iterator[object]:
            raise ConfigError("tracker: no such place")

        monkeypatch.setattr(MemoryTracker, "find_runs", refuses)
        with pytest.raises(ExperimentError, match=r"^tracker: no such place$"):
            tracker.search_runs()


def test_threads_use_handles(tracker: ExperimentTracker, memory: MemoryTracker) -> None:
    def work(name: int) -> None:
        with tracker.start_run(f"thread {name}") as run:
            for step in range(50):
                run.log_metrics({"n": name}, step=step)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tracker.close()
    assert sorted(len(history) for history in memory.history.values()) == [50] * 4


def test_threads_that_are_the_first_to_use_a_facade_share_one_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Delivery] = []
    entered = threading.Barrier(2)

    def slowly(*given: Any) -> Delivery:
        made.append(Delivery(*given))
        with contextlib.suppress(threading.BrokenBarrierError):  # broken where nobody else is let in, as it should be
            entered.wait(0.5)
        return made[-1]

    monkeypatch.setattr("mlops_core.tracking.tracker.Delivery", slowly)
    memory = MemoryTracker()
    with facade(tmp_path, memory=memory) as tracker:
        threads = [threading.Thread(target=tracker.start_run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) == 1
    assert [run.status for run in memory.runs.values()] == [RunStatus.FINISHED] * 2


KILLED = """
import os, signal, sys
from pathlib import Path
from mlops_core.clock import SystemClock
from mlops_core.testing.stack import make_stack
from mlops_core.tracking import ExperimentTracker
sys.path.insert(0, sys.argv[2])
from slow import Hanging
tracker = ExperimentTracker(stack=make_stack(Path(sys.argv[1]), trackers={"memory": Hanging()}, clock=SystemClock()))
tracker.create_experiment("e")
for step in range(1000):
    tracker.log_metrics({"loss": step / 1000}, step=step)
print(tracker.active_run.run_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
SLOW = """
import time
from mlops_core.testing.memory_tracker import MemoryTracker
class Hanging(MemoryTracker):
    def ensure_experiment(self, tenant, name, tags):
        time.sleep(60)
"""


def test_a_thousand_of_a_thousand_after_a_kill(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    root = tmp_path / "project"
    child = subprocess.run([sys.executable, "-c", KILLED, str(root), str(tmp_path)], capture_output=True, text=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    run = child.stdout.strip()
    memory = MemoryTracker()
    with facade(root, memory=memory) as tracker:
        found = tracker.get_run(run)
    assert found.status is RunStatus.INTERRUPTED
    assert [step for _, _, step in memory.history[RunKey("acme", "e", run)]] == list(range(1000))


def _log_in_child(tracker: ExperimentTracker, run: Any) -> None:
    run.log_metrics({"child": 1})
    run.end()
    tracker.close()
    os._exit(0)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_writes_its_own_spool(tracker: ExperimentTracker, memory: MemoryTracker, stack: Stack) -> None:
    run = tracker.start_run("forked")
    run.log_metrics({"parent": 1})
    tracker.flush()
    child = multiprocessing.get_context("fork").Process(target=_log_in_child, args=(tracker, run))
    child.start()
    child.join()
    assert child.exitcode == 0
    run.log_metrics({"parent": 2}, step=1)
    run.end()
    tracker.close()
    assert memory.history[run.key] == [("parent", 1.0, 0), ("parent", 2.0, 1)]  # the child's memory is its own
    assert list((stack.workdir / "spool").rglob("*.spool")) == []


def _log_and_die(run: Any) -> None:
    run.log_metrics({"child": 1})
    os._exit(0)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_what_a_forked_child_left_does_not_end_the_run(tmp_path: Path) -> None:
    memory = MemoryTracker()
    with facade(tmp_path, memory=memory) as tracker:
        run = tracker.start_run("forked")
        child = multiprocessing.get_context("fork").Process(target=_log_and_die, args=(run,))
        child.start()
        child.join()
        run.end()
    with facade(tmp_path, memory=memory) as again:
        found = again.get_run(run.run_id)
    assert (found.status, found.metrics) == (RunStatus.FINISHED, {"child": 1.0})


def test_a_resumed_run_ends_as_it_ended_whatever_a_dead_process_left(tmp_path: Path) -> None:
    left = Spool.open(tmp_path / ".mlops" / "spool" / "tracking" / "acme", "r1.dead")
    key = RunKey("acme", "default", "r1")
    left.append({"kind": "start", "start": RunStart(key, "n", datetime(2024, 1, 1, tzinfo=UTC)).to_dict()})
    for step in range(2500):
        left.append({"kind": "batch", "run": key.to_dict(), "at": 0, "step": step, "metrics": {"m": 1.0}})
    left.close()
    memory = MemoryTracker()
    with facade(tmp_path, memory=memory) as tracker, tracker.start_run(run_id="r1") as run:
        run.log_metrics({"final": 1})
    assert memory.runs[key].status is RunStatus.FINISHED
    assert [step for name, _, step in memory.history[key] if name == "m"] == list(range(2500))
