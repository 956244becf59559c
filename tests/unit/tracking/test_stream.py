"""Which streams are due, and which spool ends its run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from attrs import evolve

from mlops_core.clock import SystemClock
from mlops_core.records import RunKey, RunStart
from mlops_core.spool import Spool
from mlops_core.tracking.stream import Stream, due, end_if_open, run_of

if TYPE_CHECKING:
    from pathlib import Path

FIRST = RunStart(RunKey("acme", "e", "r1"), "n", datetime(2024, 1, 1, tzinfo=UTC))
AGAIN = evolve(FIRST, at=FIRST.at + timedelta(hours=1))
OTHER = evolve(FIRST, key=RunKey("acme", "f", "r1"))


def test_a_run_s_later_spool_waits_for_the_earlier(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "x")
    first, again, other, none = (Stream(spool, run, sealed=True, pending={"a", "b"}) for run in (FIRST, AGAIN, OTHER, None))
    streams = sorted([again, other, none, first], key=lambda stream: stream.opened)
    assert set(due(streams, "a")) == {none, first, other}
    first.pending.discard("a")
    assert set(due(streams, "a")) == {none, again, other}
    assert set(due(streams, "b")) == {none, first, other}
    spool.close()


def test_a_spool_that_still_grows_holds_up_none(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "x")
    streams = [Stream(spool, FIRST, pending={"a"}), Stream(spool, AGAIN, sealed=True, pending={"a"})]
    assert list(due(streams, "a")) == streams
    spool.close()


def test_the_first_record_tells_the_run(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "x")
    assert run_of(spool) is None
    spool.append({"kind": "start", "start": FIRST.to_dict()})
    assert run_of(spool) == FIRST
    spool.close()
    strange = Spool.open(tmp_path, "y")
    strange.append({"kind": "start", "start": {"form": "another"}})
    assert run_of(strange) is None
    strange.close()


def test_only_what_opened_a_run_ends_it(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "x")
    end_if_open(spool, evolve(FIRST, join=True), SystemClock())
    assert list(spool.read()) == []
    for _ in range(2):
        end_if_open(spool, FIRST, SystemClock())
    assert [record["status"] for _, record in spool.read()] == ["interrupted"]
    spool.close()
