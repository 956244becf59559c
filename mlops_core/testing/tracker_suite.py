"""The conformance suite of every tracker.

Subclass it, override the fixture ``tracker``, ``read_artifact`` and ``read_history``, and run it with pytest. Of a tracker that does not
declare ``search`` it expects the refusal, and ``run`` is to be overridden as well::

    class TestMine(TrackerSuite):
        @pytest.fixture
        def tracker(self, tmp_path):
            return MyTracker(path=tmp_path)
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mlops_core.exceptions import CapabilityError, ExperimentError
from mlops_core.query import parse
from mlops_core.records import Metric, Query, RunKey, RunStart, RunStatus, TrackBatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlops_core.records import TrackedRun
    from mlops_core.roles import Tracker

__all__ = ["TrackerSuite"]

_AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
_EVERYTHING = Query()


_R1 = RunKey("acme", "e", "r1")


def _key(run_id: str = "r1", tenant: str = "acme", experiment: str = "e") -> RunKey:
    return RunKey(tenant, experiment, run_id)


def _start(run: RunKey = _R1, **more: object) -> RunStart:
    return RunStart(run, name=f"run {run.run_id}", at=_AT, **more)  # type: ignore[arg-type]


def _metrics(name: str, values: Sequence[float]) -> tuple[Metric, ...]:
    return tuple(Metric(name, value, step, _AT + timedelta(seconds=step)) for step, value in enumerate(values))


class TrackerSuite:
    """The contract of ``mlops_core.roles.Tracker``."""

    @pytest.fixture
    def tracker(self, tmp_path: Path) -> Tracker:
        """A fresh tracker whose data lie under ``tmp_path``."""
        raise NotImplementedError("override the fixture 'tracker'")

    @pytest.fixture
    def running(self, tracker: Tracker) -> Tracker:
        """The tracker with run r1 of experiment e of tenant acme."""
        tracker.ensure_experiment("acme", "e", {})
        tracker.start_run(_start())
        return tracker

    @pytest.fixture
    def searching(self, tracker: Tracker) -> Tracker:
        """The same, of a kind that can be searched."""
        if "search" not in tracker.capabilities:
            for find in (tracker.find_experiments, tracker.find_runs):
                with pytest.raises(CapabilityError, match="cannot search"):
                    list(find("acme", _EVERYTHING))
            with pytest.raises(CapabilityError, match="cannot search"):
                list(tracker.read_metric(_R1, "loss"))
            pytest.xfail("this tracker declares that it cannot be searched")
        tracker.ensure_experiment("acme", "e", {})
        tracker.start_run(_start())
        return tracker

    def run(self, tracker: Tracker, run: RunKey = _R1) -> TrackedRun:
        """One run, read back; without capability ``search`` by a reader of the test's own."""
        query = parse(f"run_id = '{run.run_id}' and experiment = '{run.experiment}'", default="tags", attributes=("run_id", "experiment"))
        (found,) = tracker.find_runs(run.tenant, query)
        return found

    def test_it_may_be_prepared_more_than_once(self, tracker: Tracker) -> None:
        """By each who begins to track."""
        tracker.prepare()
        tracker.prepare()

    def test_an_experiment_is_made_once(self, tracker: Tracker) -> None:
        """The same name answers the same id, and another tenant's another one."""
        first = tracker.ensure_experiment("acme", "e", {"team": "a"})
        assert tracker.ensure_experiment("acme", "e", {}) == first
        assert tracker.ensure_experiment("other", "e", {}) != first

    def test_the_tags_of_an_experiment_merge(self, searching: Tracker) -> None:
        """A later value replaces an earlier one."""
        first = searching.ensure_experiment("acme", "e", {"team": "a", "kind": "x"})
        searching.ensure_experiment("acme", "e", {"kind": "y"})
        (found,) = searching.find_experiments("acme", _EVERYTHING)
        assert (found.name, found.tenant, dict(found.tags)) == ("e", "acme", {"team": "a", "kind": "y"})
        assert found.native_id == first

    def test_tenants_do_not_see_each_other(self, searching: Tracker) -> None:
        """Neither experiments nor runs, even of one name."""
        searching.ensure_experiment("other", "e", {})
        searching.start_run(_start(_key("r2", tenant="other")))
        assert [run.run_id for run in searching.find_runs("acme", _EVERYTHING)] == ["r1"]
        assert [run.run_id for run in searching.find_runs("other", _EVERYTHING)] == ["r2"]
        assert len(list(searching.find_experiments("acme", _EVERYTHING))) == 1
        assert list(searching.find_runs("nobody", _EVERYTHING)) == []

    @pytest.mark.parametrize("other", [_key(tenant="other"), _key(experiment="f")], ids=["tenant", "experiment"])
    def test_the_same_run_id_elsewhere_is_another_run(self, running: Tracker, tmp_path: Path, other: RunKey) -> None:
        """A run is known by its whole key: of two with one id, neither takes or changes what is the other's."""
        running.write(_R1, TrackBatch("w", 1, params={"a": "1"}, metrics=_metrics("loss", [1]), tags={"t": "mine"}))
        running.ensure_experiment(other.tenant, other.experiment, {})
        running.start_run(_start(other))
        running.write(other, TrackBatch("w", 1, params={"a": "2"}, metrics=_metrics("loss", [2]), tags={"t": "theirs"}))
        for run, content in ((_R1, "one"), (other, "two")):
            (tmp_path / "a.txt").write_text(content)
            running.put_artifact(run, "a.txt", tmp_path / "a.txt")
        running.end_run(other, RunStatus.FAILED, _AT)
        mine, theirs = self.run(running), self.run(running, other)
        assert (mine.params["a"], mine.metrics["loss"], mine.tags["t"], mine.status) == ("1", 1.0, "mine", RunStatus.RUNNING)
        assert (theirs.params["a"], theirs.metrics["loss"], theirs.tags["t"], theirs.status) == ("2", 2.0, "theirs", RunStatus.FAILED)
        assert (theirs.tenant, theirs.experiment) == (other.tenant, other.experiment)
        assert (self.read_artifact(running, _R1, "a.txt"), self.read_artifact(running, other, "a.txt")) == (b"one", b"two")

    def test_what_is_written_is_read_back(self, running: Tracker) -> None:
        """Params and tags as text, each metric's value at its last step."""
        running.write(_R1, TrackBatch("w", 1, params={"depth": "10", "näme": "ü 1"}, metrics=_metrics("loss", [3, 2, 1]), tags={"k": "v"}))
        run = self.run(running)
        assert dict(run.params) == {"depth": "10", "näme": "ü 1"}
        assert dict(run.metrics) == {"loss": 1.0}
        assert run.tags["k"] == "v"
        assert (run.experiment, run.name, run.status, run.started) == ("e", "run r1", RunStatus.RUNNING, _AT)

    def test_a_batch_counts_once(self, running: Tracker) -> None:
        """A retried batch changes nothing, neither the history nor what a later batch of the writer has replaced."""
        batch = TrackBatch("w", 1, params={"a": "1"}, metrics=_metrics("loss", [3, 2]), tags={"t": "1"})
        for _ in range(3):
            running.write(_R1, batch)
        running.write(_R1, TrackBatch("w", 2, tags={"t": "2"}))
        running.write(_R1, TrackBatch("v", 1, metrics=_metrics("other", [5])))
        running.write(_R1, batch)
        run = self.run(running)
        assert run.tags["t"] == "2"
        assert dict(run.metrics) == {"loss": 2.0, "other": 5.0}
        assert self.read_history(running, _R1, "other") == [(5.0, 0)]
        assert sorted(self.read_history(running, _R1, "loss")) == [(2.0, 1), (3.0, 0)]

    def test_the_history_holds_every_point_once(self, running: Tracker) -> None:
        """Every step of every batch, and none twice, however often a batch comes."""
        for sequence in range(1, 4):
            rows = tuple(Metric("loss", 1 / sequence, 10 * sequence + step, _AT) for step in range(2))
            for _ in range(3):
                running.write(_R1, TrackBatch("w", sequence, metrics=rows))
        expected = [(1 / sequence, 10 * sequence + step) for sequence in range(1, 4) for step in range(2)]
        assert sorted(self.read_history(running, _R1, "loss"), key=lambda point: point[1]) == expected

    def test_a_metric_is_read_by_step(self, searching: Tracker) -> None:
        """Every point as it was logged, times to the millisecond, whatever the order in which they came."""
        values = {7: math.nan, -5: math.inf, 2**62: -math.inf, 0: 0.1}
        points = tuple(Metric("loss", value, step, _AT + timedelta(milliseconds=step % 1000)) for step, value in values.items())
        searching.write(_R1, TrackBatch("w", 1, metrics=(*points, Metric("other", 1.0, 3, _AT))))
        searching.write(_R1, TrackBatch("w", 2, metrics=(Metric("loss", 0.2, 0, _AT + timedelta(seconds=1)),)))
        found = list(searching.read_metric(_R1, "loss"))
        assert [point.step for point in found] == [-5, 0, 0, 7, 2**62]
        assert [str(point.value) for point in found] == ["inf", "0.1", "0.2", "nan", "-inf"]
        assert [point.at for point in found[:3]] == [_AT + timedelta(milliseconds=995), _AT, _AT + timedelta(seconds=1)]
        assert {point.name for point in found} == {"loss"}

    def test_a_metric_that_a_run_lacks_has_no_points(self, searching: Tracker) -> None:
        """A run that is not there is another matter."""
        assert list(searching.read_metric(_R1, "loss")) == []
        with pytest.raises(ExperimentError):
            list(searching.read_metric(_key("r9"), "loss"))

    def test_an_empty_batch_is_taken(self, running: Tracker) -> None:
        """It stands for a record that was set aside, whose number it takes."""
        running.write(_R1, TrackBatch("w", 1))
        running.write(_R1, TrackBatch("w", 1, tags={"t": "1"}))
        running.write(_R1, TrackBatch("w", 2, tags={"u": "2"}))
        assert dict(self.run(running).tags) == {"u": "2"}

    def test_not_a_number_and_infinity(self, running: Tracker) -> None:
        """They come back as they went in."""
        at = _AT
        batch = TrackBatch(
            "w", 1, metrics=(Metric("nan", math.nan, 0, at), Metric("up", math.inf, 0, at), Metric("down", -math.inf, 0, at))
        )
        running.write(_R1, batch)
        metrics = self.run(running).metrics
        assert math.isnan(metrics["nan"])
        assert (metrics["up"], metrics["down"]) == (math.inf, -math.inf)

    def test_steps_of_64_bits(self, running: Tracker) -> None:
        """The highest step is the last, in whatever order they come."""
        at = _AT
        running.write(_R1, TrackBatch("w", 1, metrics=(Metric("m", 1.0, 2**62, at), Metric("m", 2.0, -5, at))))
        assert self.run(running).metrics["m"] == 1.0

    def test_a_thousand_params(self, running: Tracker) -> None:
        """More than one request of most backends."""
        running.write(_R1, TrackBatch("w", 1, params={f"p{n}": str(n) for n in range(1000)}))
        assert dict(self.run(running).params) == {f"p{n}": str(n) for n in range(1000)}

    def test_a_changed_param_is_refused_for_good(self, running: Tracker) -> None:
        """``ExperimentError``, which is not tried again."""
        running.write(_R1, TrackBatch("w", 1, params={"a": "1"}))
        with pytest.raises(ExperimentError, match="a"):
            running.write(_R1, TrackBatch("w", 2, params={"a": "2"}))
        assert self.run(running).params["a"] == "1"

    @pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.INTERRUPTED])
    def test_a_run_ends(self, running: Tracker, status: RunStatus) -> None:
        """With its status and time."""
        running.end_run(_R1, status, _AT + timedelta(minutes=5))
        run = self.run(running)
        assert (run.status, run.ended) == (status, _AT + timedelta(minutes=5))

    def test_ending_twice_keeps_the_later(self, running: Tracker) -> None:
        """As a recovery may do."""
        running.end_run(_R1, RunStatus.INTERRUPTED, _AT)
        running.end_run(_R1, RunStatus.FINISHED, _AT + timedelta(minutes=1))
        assert self.run(running).status == RunStatus.FINISHED

    def test_a_run_is_resumed(self, running: Tracker) -> None:
        """The same id opens it again and keeps what it has."""
        running.write(_R1, TrackBatch("w", 1, params={"a": "1"}))
        running.end_run(_R1, RunStatus.FAILED, _AT)
        running.start_run(_start(tags={"again": "yes"}))
        run = self.run(running)
        assert (run.status, run.ended, run.params["a"], run.tags["again"]) == (RunStatus.RUNNING, None, "1", "yes")

    def test_a_run_is_joined(self, running: Tracker) -> None:
        """A forked child adds to a run, which neither opens it again nor ends it; one that is not known yet is made."""
        running.end_run(_R1, RunStatus.FINISHED, _AT + timedelta(minutes=5))
        for run in (_R1, _key("r2")):
            running.start_run(_start(run, join=True))
            running.write(run, TrackBatch("child", 1, metrics=_metrics("loss", [1]), tags={"by": "child"}))
        ended, made = self.run(running), self.run(running, _key("r2"))
        assert (ended.status, ended.ended, ended.metrics["loss"]) == (RunStatus.FINISHED, _AT + timedelta(minutes=5), 1.0)
        assert (made.status, made.metrics["loss"]) == (RunStatus.RUNNING, 1.0)

    def test_a_child_run_names_its_parent(self, running: Tracker) -> None:
        """By the core's id."""
        running.start_run(_start(_key("r2"), parent=_R1))
        assert self.run(running, _key("r2")).parent_run_id == "r1"

    def test_artifacts_are_stored_under_their_names(self, running: Tracker, tmp_path: Path) -> None:
        """A file, a directory, and a second file in place of the first."""
        (tmp_path / "a.txt").write_text("one")
        (tmp_path / "d" / "deep").mkdir(parents=True)
        (tmp_path / "d" / "deep" / "b.txt").write_text("two")
        running.put_artifact(_R1, "model/a.txt", tmp_path / "a.txt")
        running.put_artifact(_R1, "folder", tmp_path / "d")
        (tmp_path / "a.txt").write_text("three")
        running.put_artifact(_R1, "model/a.txt", tmp_path / "a.txt")
        assert self.read_artifact(running, _R1, "model/a.txt") == b"three"
        assert self.read_artifact(running, _R1, "folder/deep/b.txt") == b"two"

    def read_artifact(self, tracker: Tracker, run: RunKey, name: str) -> bytes:
        """How this backend's test reads a stored file back."""
        raise NotImplementedError("override 'read_artifact'")

    def read_history(self, tracker: Tracker, run: RunKey, metric: str) -> list[tuple[float, int]]:
        """How this backend's test reads every value of a metric back, with its step."""
        raise NotImplementedError("override 'read_history'")

    @pytest.mark.parametrize(
        ("text", "finds"),
        [
            ("metrics.loss < 0.5", ["r2"]),
            ("metrics.loss >= 0.5", ["r1"]),
            ("params.depth = '3'", ["r2"]),
            ("params.depth > 4", ["r1"]),
            ("team = 'a' and status = 'finished'", ["r1"]),
            ("team = 'a' or team = 'b'", ["r1", "r2"]),
            ("not team = 'a'", ["r2"]),
            ("missing = 'x' or not missing = 'x'", []),
            ("name like '%r1'", ["r1"]),
            ("experiment = 'f'", ["r3"]),
            ("order by metrics.loss", ["r2", "r1", "r3"]),
            ("order by metrics.loss desc", ["r1", "r2", "r3"]),
        ],
    )
    def test_the_filter_grammar(self, searching: Tracker, text: str, finds: list[str]) -> None:
        """Every backend answers as the core's own evaluation does."""
        searching.start_run(_start(_key("r2")))
        searching.ensure_experiment("acme", "f", {})
        searching.start_run(_start(_key("r3", experiment="f")))
        searching.write(_R1, TrackBatch("w", 1, params={"depth": "10"}, metrics=_metrics("loss", [0.9]), tags={"team": "a"}))
        searching.write(_key("r2"), TrackBatch("w", 1, params={"depth": "3"}, metrics=_metrics("loss", [0.1]), tags={"team": "b"}))
        searching.end_run(_R1, RunStatus.FINISHED, _AT)
        query = parse(text, default="tags", attributes=("name", "status", "experiment"))
        found = [run.run_id for run in searching.find_runs("acme", query)]
        assert found == finds if "order" in text else sorted(found) == finds

    def test_limit(self, searching: Tracker) -> None:
        """The first ones in the order asked for."""
        for n in range(2, 6):
            searching.start_run(_start(_key(f"r{n}")))
            searching.write(_key(f"r{n}"), TrackBatch("w", 1, metrics=_metrics("m", [float(n)])))
        found = searching.find_runs("acme", parse("order by metrics.m desc", default="tags", limit=2))
        assert [run.run_id for run in found] == ["r5", "r4"]

    def test_close_is_idempotent(self, running: Tracker) -> None:
        """And safe before any use."""
        running.close()
        running.close()
