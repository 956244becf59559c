"""The journal of one run in the hands of the one process that runs it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import define, evolve, field

from mlops_core.exceptions import ConflictError, MLOpsError, PipelineError
from mlops_core.journal import Journal, Lease, journals_under
from mlops_core.pipeline.presence import Presence, dead_owner, is_dead
from mlops_core.pipeline.state import RunState, journal_of, kept_of, patch_of
from mlops_core.records import NewEntry, PipelineStatus, StageResult, StageStatus
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from mlops_core.journal import Head
    from mlops_core.records import ArtifactRef

__all__ = ["SNAPSHOT_EVERY", "RunLedger", "beginnings", "read_run"]

SNAPSHOT_EVERY: Final = 64
_TTL: Final = timedelta(seconds=30)
_PROBE: Final = timedelta(seconds=1)


@define(eq=False)
class RunLedger:
    """Writes each transition of a run, under a lease. As a context manager it holds the lease; an entry that it acknowledged is power-safe.

    A second process that resumes the same run is refused; one that was held up beyond its lease, and lost the run, stops at its next entry.
    """

    stack: Stack
    pipeline: str
    run_id: str
    owner: str = field(factory=lambda: uuid.uuid4().hex)
    state: RunState | None = field(default=None, init=False)
    _journal: Journal = field(init=False, repr=False)
    _lease: Lease = field(init=False, repr=False)
    _presence: Presence = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        store, tenant, name = self.stack.parts.registry, self.stack.tenant, journal_of(self.pipeline, self.run_id)
        self._journal = Journal(store, tenant, name, snapshot_every=SNAPSHOT_EVERY)
        self._lease = Lease(store, tenant, name, ttl=_TTL, owner=self.owner)
        self._presence = Presence(_locks(self.stack), self.owner, f"{tenant}/{name}")

    def __enter__(self) -> Self:
        """Take the run.

        Raises:
            PipelineError: Another process runs it.
        """
        self._presence.show()
        try:
            if not self._lease.take():
                self._take_over()
            self._presence.follow()
            self.state = _state_of(self._journal, self.run_id)
        except BaseException:
            self._presence.hide()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._lease.release()
        finally:
            self._presence.hide()

    def _take_over(self) -> None:
        """The lease of a process that died here is given back in its name; of several that do so only one takes it then."""
        dead = dead_owner(_locks(self.stack), self._presence.holds)
        if dead is not None:
            self.stack.parts.registry.lease(self.stack.tenant, self._lease.name, dead, timedelta(0))
            if self._lease.take():
                return
        raise PipelineError(
            f"pipeline {self.pipeline}: run {self.run_id} is being run by another process - wait for it, "
            f"or, if its machine died, for {_TTL.total_seconds():.0f} s"
        )

    def start(self, stages: tuple[str, ...], model: str, inputs: Mapping[str, ArtifactRef], *, single: bool = False) -> None:
        """Write the first entry of a new run.

        Raises:
            PipelineError: There is a run of this id.
        """
        state = RunState(self.pipeline, model, stages, self.owner, self.stack.clock.now(), inputs=inputs, single=single)

        def decide(head: Head) -> NewEntry:
            if head.position:
                raise PipelineError(f"pipeline {self.pipeline}: run {self.run_id} exists - resume it, or give another run_id")
            return NewEntry(state.started, "started", change=state.patch(), state=state.patch())

        self._journal.update(decide)
        self.state = state

    def resume(self) -> None:
        """Make this process the owner of a run that did not end well."""
        state = evolve(self.known, owner=self.owner, status=PipelineStatus.RUNNING, ended=None, error=None)
        self._write("resumed", {"owner": self.owner, "status": "running", "ended": None, "error": None}, state, claim=True)

    def began(self, stage: str, attempt: int) -> None:
        """An attempt begins."""
        self._put("stage_started", StageResult(stage, StageStatus.RUNNING, attempt=attempt))

    def ended(self, result: StageResult) -> None:
        """An attempt ended, or a stage was skipped."""
        self._put(f"stage_{result.status}", kept_of(result))

    def rolling_back(self, reason: str) -> None:
        """What the run deployed is about to be taken back: from here on no stage of it runs again, whoever resumes it."""
        state = evolve(self.known, rollback=reason, error=reason)
        self._write("rolling_back", {"rollback": reason, "error": reason}, state)

    def finish(self, status: PipelineStatus, error: str | None, *, final: bool = False) -> None:
        """The run ended; a ``final`` one is not to be resumed."""
        now = self.stack.clock.now()
        state = evolve(self.known, status=status, error=error, ended=now, final=final)
        self._write("finished", {"status": status.value, "error": error, "ended": now.isoformat(), "final": final}, state)

    @property
    def known(self) -> RunState:
        """The state after the newest entry; a run that was neither started nor found has none."""
        if self.state is None:
            raise PipelineError(f"pipeline {self.pipeline}: there is no run {self.run_id}")
        return self.state

    def check(self) -> None:
        """Raise ``PipelineError`` if another process has taken the run, or may have, so that this one must not act for it."""
        self._check_lease()
        self._check_owner(self._journal.head())

    def standing(self) -> PipelineStatus:
        """How the run stands by its journal, which another process may have written meanwhile; as last known where none can be read."""
        try:
            state = _state_of(self._journal, self.run_id)
        except MLOpsError:
            state = None
        return self.known.status if state is None else state.status

    def _check_lease(self) -> None:
        try:
            self._lease.check()
        except ConflictError as error:
            raise PipelineError(f"pipeline {self.pipeline}: run {self.run_id}: {error.message}") from error

    def _check_owner(self, head: Head) -> None:
        if head.state.get("owner") != self.owner:
            raise PipelineError(f"pipeline {self.pipeline}: run {self.run_id} was taken over by another process - this one stops")

    def _put(self, kind: str, result: StageResult) -> None:
        self._write(kind, {"results": {result.stage: patch_of(result)}}, self.known.having(result))

    def _write(self, kind: str, change: Mapping[str, Any], state: RunState, *, claim: bool = False) -> None:
        self._check_lease()

        def decide(head: Head) -> NewEntry:
            if not claim:
                self._check_owner(head)
            return NewEntry(self.stack.clock.now(), kind, change=change)

        self._journal.update(decide)
        self.state = state


def _locks(stack: Stack) -> Path:
    return stack.workdir / "locks"


def _state_of(journal: Journal, run_id: str) -> RunState | None:
    head = journal.head()
    return RunState.read(head.state, run_id) if head.position else None


def read_run(stack: Stack, pipeline: str, run_id: str) -> tuple[RunState, bool] | None:
    """A run's state, and whether it was interrupted: it says that it runs, and nobody holds its lease. None: there is no such run."""
    store, name = stack.parts.registry, journal_of(pipeline, run_id)
    journal = Journal(store, stack.tenant, name, snapshot_every=SNAPSHOT_EVERY)
    state = _state_of(journal, run_id)
    if state is None or state.status is not PipelineStatus.RUNNING:
        return None if state is None else (state, False)
    if is_dead(_locks(stack), state.owner):
        return state, True
    probe = f"status-{uuid.uuid4().hex}"
    if not store.lease(stack.tenant, name, probe, _PROBE):
        return state, False
    store.lease(stack.tenant, name, probe, timedelta(0))
    state = _state_of(journal, run_id) or state  # it may have ended between the two looks
    return state, state.status is PipelineStatus.RUNNING


def beginnings(stack: Stack, pipeline: str) -> Iterator[tuple[str, datetime, bool]]:
    """Every run of the pipeline by name: its id, when it began, and whether it is the run of a single stage."""
    for run_id in journals_under(stack.parts.registry, stack.tenant, journal_of(pipeline, "")):
        for first in stack.parts.registry.read(stack.tenant, journal_of(pipeline, run_id), limit=1):
            yield run_id, first.at, bool(first.change.get("single", False))
