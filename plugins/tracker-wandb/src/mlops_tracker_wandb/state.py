"""What is known of a run from its logs alone: params, tags, status, and which batches of which writer are in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, define, evolve, field

from mlops_core.records import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlops_core.records import RunStart

__all__ = ["KEY", "RESERVED", "STEP", "RunState", "Seen", "merged"]

KEY: Final = "mlops"
STEP: Final = "mlops_step"
RESERVED: Final = frozenset({STEP, "_step", "_timestamp", "_runtime", "_wandb"})


@define
class RunState:
    """The run as the key ``mlops`` of its config holds it, complete each time, so that the newest is the state.

    ``batches``: of each writer the last complete batch, and how many metrics of the following ones are in the log already. ``opened``:
    the batch whose metrics follow, as writer, sequence and number of metrics. ``session``: of the several logs of a run that was resumed,
    which one; ``joined``: a session that neither opens nor ends the run, and says nothing about its status.
    """

    tenant: str
    experiment: str
    run_id: str
    name: str
    started: str
    parent: str | None = None
    status: str = RunStatus.RUNNING.value
    ended: str | None = None
    tags: dict[str, str] = field(factory=dict)
    batches: dict[str, tuple[int, int]] = field(factory=dict)
    opened: tuple[str, int, int] | None = None
    rows: int = 0
    session: int = 0
    serial: int = 0
    joined: bool = False

    @classmethod
    def of(cls, run: RunStart) -> RunState:
        """The state of a new run."""
        parent = None if run.parent is None else run.parent.run_id
        key = run.key
        return cls(key.tenant, key.experiment, key.run_id, run.name, run.at.isoformat(), parent, tags=dict(run.tags))

    def open(self, writer: str, sequence: int, metrics: int) -> None:
        """A batch begins; one without metrics that are still missing is complete at once."""
        self.opened = (writer, sequence, metrics)
        self.add_metrics(0)

    def add_row(self, metrics: int) -> None:
        """A row of the batch that is open, with so many metrics."""
        self.rows += 1
        self.add_metrics(metrics)

    def add_metrics(self, count: int) -> None:
        """Metrics of the batch that is open; with its last one the batch is complete."""
        if self.opened is None:
            return
        writer, sequence, wanted = self.opened
        done, ahead = self.batches.get(writer, (0, 0))
        ahead += count
        if ahead >= wanted:
            done, ahead, self.opened = sequence, ahead - wanted, None
        self.batches[writer] = (done, ahead)

    def to_config(self) -> dict[str, Any]:
        """For the run's config, as JSON."""
        return asdict(self)


def _state(value: dict[str, Any]) -> RunState:
    known = RunState(**value)
    known.batches = {writer: (done, ahead) for writer, (done, ahead) in known.batches.items()}
    if known.opened is not None:
        known.open(*known.opened)
    return known


@define
class Seen:
    """What one log says, record by record."""

    state: RunState | None = None
    params: dict[str, str] = field(factory=dict)
    artifacts: int = 0
    closed: bool = False

    def add(self, record: Any) -> None:
        """Take one ``Record`` of the log."""
        match record.WhichOneof("record_type"):
            case "run":
                self._add_config(record.run.config.update)
            case "config":
                self._add_config(record.config.update)
            case "history" if self.state is not None:
                names = {item.nested_key[0] if item.nested_key else item.key for item in record.history.item}
                self.state.add_row(len(names - RESERVED))
            case "artifact":
                self.artifacts += 1
            case "exit":
                self.closed = True

    def _add_config(self, update: Iterable[Any]) -> None:
        for item in update:
            if item.key == KEY:
                found = json.loads(item.value_json)
                if self.state is None or found["serial"] > self.state.serial:  # W&B repeats the whole config at times
                    self.state = _state(found)
            elif item.key and item.key not in RESERVED:
                self.params[item.key] = json.loads(item.value_json)


def merged(sessions: Iterable[Seen]) -> Seen | None:
    """What the logs of a run say together; None without any. Where two tell of a writer or a tag, the further or the later counts."""
    found: Seen | None = None
    for one in sorted((one for one in sessions if one.state is not None), key=_session):
        found = one if found is None else _both(found, one)
    return found


def _session(one: Seen) -> int:
    return -1 if one.state is None else one.state.session


def _both(first: Seen, later: Seen) -> Seen:
    old, new = first.state, later.state
    if old is None or new is None:
        return first if new is None else later
    writers = {*old.batches, *new.batches}
    own = old if new.joined else new
    state = evolve(
        new,
        status=own.status,
        ended=own.ended,
        tags={**old.tags, **new.tags},
        batches={writer: max(old.batches.get(writer, (0, 0)), new.batches.get(writer, (0, 0))) for writer in writers},
        opened=None,
        rows=max(old.rows, new.rows),
        serial=max(old.serial, new.serial),
        joined=old.joined and new.joined,
    )
    return Seen(state, {**first.params, **later.params}, later.artifacts, later.closed if not new.joined else first.closed)
