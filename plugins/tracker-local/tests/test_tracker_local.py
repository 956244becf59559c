"""The embedded tracker passes the conformance suite, and keeps its own promises: one file, many processes, nothing outside it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlops_core.exceptions import ExperimentError, MLOpsError
from mlops_core.records import Metric, Query, RunKey, RunStatus, TrackBatch
from mlops_core.testing.tracker_suite import _R1, TrackerSuite, _key, _start
from mlops_tracker_local import LocalTracker
from mlops_tracker_local.schema import STEPS

if TYPE_CHECKING:
    from mlops_core.roles import Tracker

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def local(tmp_path: Path) -> LocalTracker:
    return LocalTracker(path=tmp_path / "project" / "tracking.db")


def stored(tracker: Tracker, run: RunKey, name: str) -> Path:
    return Path(f"{tracker.location()}.artifacts", run.tenant, run.experiment, run.run_id, name)


class TestLocalTracker(TrackerSuite):
    @pytest.fixture
    def tracker(self, local: LocalTracker) -> Tracker:
        return local

    def read_artifact(self, tracker: Tracker, run: RunKey, name: str) -> bytes:
        return stored(tracker, run, name).read_bytes()

    def read_history(self, tracker: Tracker, run: RunKey, metric: str) -> list[tuple[float, int]]:
        with closing(sqlite3.connect(tracker.location())) as store:
            return store.execute(
                """SELECT point.value, point.step FROM point JOIN metric ON metric.id = point.metric JOIN run ON run.id = metric.run
                JOIN experiment ON experiment.id = run.experiment WHERE (tenant, experiment.name, run_id, metric.name) = (?, ?, ?, ?)
                ORDER BY number""",
                (run.tenant, run.experiment, run.run_id, metric),
            ).fetchall()

    def test_ten_thousand_params(self, running: Tracker) -> None:
        params = {f"p{n}": str(n) for n in range(10_000)}
        for first in range(0, 10_000, 1000):
            names = list(params)[first : first + 1000]
            running.write(_R1, TrackBatch("w", first + 1, params={name: params[name] for name in names}))
        assert dict(self.run(running).params) == params

    def test_the_same_step_twice_is_two_points_of_which_the_later_counts(self, running: Tracker) -> None:
        running.write(_R1, TrackBatch("w", 1, metrics=(Metric("m", 1.0, 7, AT), Metric("m", 2.0, 7, AT))))
        running.write(_R1, TrackBatch("w", 2, metrics=(Metric("m", 3.0, 7, AT), Metric("m", 9.0, 6, AT))))
        assert self.run(running).metrics["m"] == 3.0
        assert self.read_history(running, _R1, "m") == [(1.0, 7), (2.0, 7), (3.0, 7), (9.0, 6)]

    def test_the_last_and_the_first_step_of_64_bits(self, running: Tracker) -> None:
        running.write(_R1, TrackBatch("w", 1, metrics=(Metric("m", 1.0, 2**63 - 1, AT), Metric("m", 2.0, -(2**63), AT))))
        assert self.read_history(running, _R1, "m") == [(1.0, 2**63 - 1), (2.0, -(2**63))]

    def test_a_refused_batch_changes_nothing(self, running: Tracker) -> None:
        running.write(_R1, TrackBatch("w", 1, params={"a": "1"}))
        with pytest.raises(ExperimentError, match=r"tracker\.local: param 'a' is '1' already - log a metric or start a new run"):
            running.write(_R1, TrackBatch("w", 2, params={"b": "1", "a": "2"}, metrics=(Metric("m", 1.0, 0, AT),), tags={"t": "1"}))
        run = self.run(running)
        assert (dict(run.params), dict(run.metrics), dict(run.tags)) == ({"a": "1"}, {}, {})
        running.write(_R1, TrackBatch("w", 2, tags={"t": "2"}))
        assert dict(self.run(running).tags) == {"t": "2"}

    def test_a_run_that_was_not_started_is_refused(self, running: Tracker) -> None:
        for run in (_key("r9"), _key(tenant="other"), _key(experiment="f")):
            with pytest.raises(ExperimentError, match=r"no run '.*' of '.*' in .*tracking\.db - start it first"):
                running.write(run, TrackBatch("w", 1, tags={"a": "b"}))

    def test_text_that_cannot_be_encoded_is_refused(self, running: Tracker) -> None:
        with pytest.raises(ExperimentError, match="surrogates not allowed"):
            running.write(_R1, TrackBatch("w", 1, params={"a": "\ud800"}))

    def test_a_run_keeps_the_moment_at_which_it_began(self, running: Tracker) -> None:
        began = datetime(2024, 5, 1, 14, 0, 0, 250_001, tzinfo=UTC).astimezone(None)
        start = _start(_key("r2"))
        running.start_run(type(start)(start.key, "late", began))
        assert self.run(running, _key("r2")).started == began

    def test_artifacts_replace_each_other_whatever_they_are(self, running: Tracker, tmp_path: Path) -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "a").write_text("a")
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "b").write_text("b")
        (tmp_path / "file").write_text("c")
        for source, inside in (("one", {"a"}), ("two", {"b"}), ("file", None), ("one", {"a"})):
            running.put_artifact(_R1, "x/model", tmp_path / source)
            found = stored(running, _R1, "x/model")
            assert (None if found.is_file() else {one.name for one in found.iterdir()}) == inside
        assert list(Path(f"{running.location()}.artifacts", ".incoming").iterdir()) == []

    @pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ".", ""])
    def test_an_artifact_stays_in_its_run(self, running: Tracker, tmp_path: Path, name: str) -> None:
        (tmp_path / "a.txt").write_text("x")
        with pytest.raises(ExperimentError, match="does not name an artifact - use a relative name"):
            running.put_artifact(_R1, name, tmp_path / "a.txt")

    def test_no_artifact_follows_a_link(self, running: Tracker, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("x")
        (tmp_path / "link").symlink_to(tmp_path / "secret")
        (tmp_path / "folder" / "deep").mkdir(parents=True)
        (tmp_path / "folder" / "deep" / "link").symlink_to(tmp_path / "secret")
        for source in ("link", "folder"):
            with pytest.raises(ExperimentError, match="link is a symbolic link - give the file itself"):
                running.put_artifact(_R1, "a", tmp_path / source)
        assert not stored(running, _R1, "a").exists()

    def test_a_link_in_the_store_leads_nothing_out(self, running: Tracker, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("x")
        running.put_artifact(_R1, "a.txt", tmp_path / "a.txt")
        (tmp_path / "outside").mkdir()
        stored(running, _R1, "out").symlink_to(tmp_path / "outside")
        stored(running, _key("r2"), ".").symlink_to(tmp_path / "outside")
        running.start_run(_start(_key("r2")))
        for run, name in ((_R1, "out/a.txt"), (_R1, "out/deep/a.txt"), (_key("r2"), "a.txt"), (_key("r2"), "deep/a.txt")):
            with pytest.raises(ExperimentError, match=r"leads out of .* - remove the link"):
                running.put_artifact(run, name, tmp_path / "a.txt")
        running.put_artifact(_R1, "out", tmp_path / "a.txt")
        assert list((tmp_path / "outside").iterdir()) == []
        assert stored(running, _R1, "out").read_text() == "x"

    def test_an_artifact_below_a_file_is_refused(self, running: Tracker, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("x")
        running.put_artifact(_R1, "a", tmp_path / "a.txt")
        with pytest.raises(ExperimentError, match=r"artifact 'a/b/c' cannot be stored: .* - use another name"):
            running.put_artifact(_R1, "a/b/c", tmp_path / "a.txt")

    def test_the_artifact_of_an_unknown_run_is_refused(self, running: Tracker, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("x")
        with pytest.raises(ExperimentError, match="no run 'r9'"):
            running.put_artifact(_key("r9"), "a", tmp_path / "a.txt")


def test_building_one_does_nothing(tmp_path: Path) -> None:
    tracker = LocalTracker(path=tmp_path / "folder" / "tracking.db")
    tracker.close()
    assert list(tmp_path.iterdir()) == []


def test_artifacts_go_where_the_option_says(tmp_path: Path) -> None:
    tracker = LocalTracker(path=tmp_path / "t.db", artifacts=str(tmp_path / "elsewhere"))
    tracker.start_run(_start())
    (tmp_path / "a.txt").write_text("x")
    tracker.put_artifact(_R1, "a/b.txt", tmp_path / "a.txt")
    assert (tmp_path / "elsewhere" / "acme" / "e" / "r1" / "a" / "b.txt").read_text() == "x"
    tracker.close()


def test_what_a_dead_process_left_of_a_copy_goes_after_a_day(local: LocalTracker, tmp_path: Path) -> None:
    incoming = Path(f"{local.location()}.artifacts", ".incoming")
    for name, age in (("old", 90_000), ("new", 0)):
        (incoming / name).mkdir(parents=True)
        (incoming / name / "new").write_text("half")
        moment = (incoming / name).stat().st_mtime - age
        os.utime(incoming / name, (moment, moment))
    local.start_run(_start())
    (tmp_path / "a.txt").write_text("x")
    local.put_artifact(_R1, "a", tmp_path / "a.txt")
    assert [found.name for found in incoming.iterdir()] == ["new"]


def test_a_file_of_a_later_release_is_refused_unchanged(local: LocalTracker) -> None:
    local.start_run(_start())
    local.close()
    with closing(sqlite3.connect(local.location())) as store:
        store.execute(f"PRAGMA user_version = {max(STEPS) + 1}")
    with pytest.raises(MLOpsError, match=r"schema 2, this release knows 1 - upgrade motadata-mlops-tracker-local") as caught:
        local.check()
    assert not isinstance(caught.value, ExperimentError)  # the records wait in the spool for the upgrade
    with closing(sqlite3.connect(local.location())) as store:
        assert store.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_file_of_an_earlier_release_is_brought_up(local: LocalTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    local.start_run(_start())
    local.close()
    further = {**STEPS, 2: ("ALTER TABLE run ADD COLUMN note TEXT NOT NULL DEFAULT ''",)}
    monkeypatch.setattr("mlops_tracker_local.schema.STEPS", further)
    assert [run.run_id for run in local.find_runs("acme", Query())] == ["r1"]
    local.close()
    with closing(sqlite3.connect(local.location())) as store:
        assert store.execute("SELECT note FROM run").fetchall() == [("",)]
        assert store.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_step_that_fails_leaves_the_file_as_it_was(local: LocalTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    local.start_run(_start())
    local.close()
    with monkeypatch.context() as patched:
        patched.setattr("mlops_tracker_local.schema.STEPS", {**STEPS, 2: ("CREATE TABLE extra (id INTEGER)", "SELECT nonsense")})
        with pytest.raises(MLOpsError, match="nonsense"):
            local.check()
    assert [run.run_id for run in local.find_runs("acme", Query())] == ["r1"]
    with closing(sqlite3.connect(local.location())) as store:
        assert store.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchone() is None


@pytest.mark.parametrize("version", [0, 1])
def test_the_database_of_another_program_is_refused_unchanged(tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.executescript(f"CREATE TABLE theirs (id INTEGER); PRAGMA user_version = {version}")
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(MLOpsError, match=r"other\.db is another program's database - name another file in 'path'"):
        LocalTracker(path=tmp_path / "other.db").check()
    assert (tmp_path / "other.db").read_bytes() == before


def test_what_is_no_database_is_an_outage_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.db").write_text("this is no database, however long it is" * 100)
    with pytest.raises(MLOpsError, match=r"t\.db: file is not a database - check the file") as caught:
        LocalTracker(path=tmp_path / "t.db").check()
    assert not isinstance(caught.value, ExperimentError)


def test_a_folder_that_cannot_be_made_is_an_outage_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(MLOpsError, match=r"taken.*: (Not a directory|File exists) - check the folder") as caught:
        LocalTracker(path=tmp_path / "taken" / "t.db").check()
    assert not isinstance(caught.value, ExperimentError)


def test_a_file_that_is_taken_away_is_made_again(local: LocalTracker) -> None:
    local.start_run(_start())
    for left in Path(local.location()).parent.iterdir():
        left.unlink()
    local.start_run(_start(_key("r2")))
    assert [run.run_id for run in local.find_runs("acme", Query())] == ["r2"]


def test_a_writer_that_waits_too_long_is_an_outage(local: LocalTracker) -> None:
    local.start_run(_start())
    hasty = LocalTracker(path=Path(local.location()), busy_timeout=0.05)
    hasty.check()
    with closing(sqlite3.connect(local.location(), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MLOpsError, match="database is locked") as caught:
            hasty.end_run(_R1, RunStatus.FAILED, AT)
        other.execute("ROLLBACK")
    assert not isinstance(caught.value, ExperimentError)
    hasty.write(_R1, TrackBatch("w", 1, metrics=(Metric("m", 1.0, 0, AT + timedelta(seconds=1)),)))
