"""A group of spooled records to one tracker: neighbours become one batch, and the same group always becomes the same calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlops_core.exceptions import ExperimentError
from mlops_core.records import Metric, RunKey, RunStart, RunStatus, TrackBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlops_core.roles import Tracker

__all__ = ["Numbered", "apply", "probe"]

Numbered = tuple[int, dict[str, Any]]


def apply(backend: Tracker, writer: str, group: Sequence[Numbered], folder: Path) -> Iterator[ExperimentError]:
    """Send a group, oldest first; yields what the tracker refused for good. Anything else it raises ends the group."""
    batch: list[Numbered] = []
    for sequence, record in group:
        if batch and (record["kind"] != "batch" or record["run"] != batch[0][1]["run"]):
            yield from _write(backend, writer, batch)
            batch = []
        if record["kind"] == "batch":
            batch.append((sequence, record))
            continue
        try:
            _call(backend, record, folder)
        except ExperimentError as refusal:
            yield refusal
    if batch:
        yield from _write(backend, writer, batch)


def probe(backend: Tracker, writer: str, record: Numbered) -> None:
    """An empty batch in place of a record: it passes where the tracker writes to that run at all; raises what the tracker raises."""
    backend.write(_key(record[1]), TrackBatch(writer=writer, sequence=record[0]))


def _write(backend: Tracker, writer: str, batch: Sequence[Numbered]) -> Iterator[ExperimentError]:
    """One call; if the tracker refuses it, one call per record, so that one bad record does not take its neighbours along."""
    try:
        backend.write(_key(batch[0][1]), _merged(writer, batch))
    except ExperimentError as refusal:
        if len(batch) == 1:
            yield refusal
            return
        for one in batch:
            yield from _write(backend, writer, [one])


def _merged(writer: str, batch: Sequence[Numbered]) -> TrackBatch:
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[Metric] = []
    for _, record in batch:
        params.update(record.get("params", {}))
        tags.update(record.get("tags", {}))
        at = datetime.fromtimestamp(record["at"], UTC)
        metrics += [Metric(name, value, record["step"], at) for name, value in record.get("metrics", {}).items()]
    return TrackBatch(writer=writer, sequence=batch[-1][0], params=params, metrics=tuple(metrics), tags=tags)


def _key(record: dict[str, Any]) -> RunKey:
    return RunKey(**record["run"])


def _call(backend: Tracker, record: dict[str, Any], folder: Path) -> None:
    match record["kind"]:
        case "experiment":
            backend.ensure_experiment(record["tenant"], record["name"], record["tags"])
        case "start":
            run = RunStart.from_dict(record["start"])
            backend.ensure_experiment(run.key.tenant, run.key.experiment, {})
            backend.start_run(run)
        case "artifact":
            copy = folder / record["path"]
            if not copy.exists():
                raise ExperimentError(f"tracker: artifact {record['name']!r}: its copy {copy} is gone - log it again")
            backend.put_artifact(_key(record), record["name"], copy)
        case "end":
            backend.end_run(_key(record), RunStatus(record["status"]), datetime.fromisoformat(record["at"]))
