"""What the registry and the sink keep for drift checks: the reference of a version, and sampled predictions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mlops_core.drift.guard import own_errors
from mlops_core.exceptions import DriftDetectionError
from mlops_core.journal import Journal
from mlops_core.names import check_name
from mlops_core.records import UNVERSIONED, Comparison, Query
from mlops_core.records.sampling import uniform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.drift.reference import Reference
    from mlops_core.records import ModelVersion, Segment, SeriesKey
    from mlops_core.roles import MonitorSink
    from mlops_core.stack import Stack

__all__ = [
    "REFERENCE",
    "bounds",
    "has_answered",
    "live_rows",
    "live_segments",
    "registered",
    "sampled_versions",
    "sampling_series",
    "stored_reference",
]

_ROWS: Final = 100_000  # of a window are compared at most
REFERENCE: Final = "reference"
"""The name of the artifact of a model version."""


def stored_reference(stack: Stack, model: str, version: str | None) -> tuple[str, Reference]:
    """The reference that was stored with a version, and the version's name.

    Raises:
        DriftDetectionError: There is no such version, it has no reference, or the reference cannot be read.
    """
    from mlops_core.artifacts import Artifacts
    from mlops_core.artifacts.scratch import scratch
    from mlops_core.drift.reference import Reference

    check_name(model, "model", DriftDetectionError)
    with own_errors():
        found = registered(stack, model, version)
        stack.signing.check(found)
        artifact = found.artifacts.get(REFERENCE)
        if artifact is None:
            hint = f"register versions with artifacts={{{REFERENCE!r}: a file of Reference.save}}"
            raise DriftDetectionError(f"drift: version {found.version!r} of model {model!r} has no drift reference - {hint}")
        with scratch(stack.workdir / "tmp") as folder:
            return found.version, Reference.load(Artifacts(stack).fetch_artifact(stack.tenant, artifact, folder))


def registered(stack: Stack, model: str, version: str | None) -> ModelVersion:
    """A version by name, by ``@alias``, or (None) the newest.

    Raises:
        DriftDetectionError: There is none.
    """
    store, tenant = stack.parts.registry, stack.tenant
    if version is None:
        listed = store.find_versions(tenant, Query(Comparison("model", "=", model), limit=1), newest_first=True).items
        if not listed:
            raise DriftDetectionError(f"drift: there is no version of model {model!r} - register one first")
        return listed[0]
    name = version
    if str(version).startswith("@"):
        alias = check_name(version[1:], "alias", DriftDetectionError)
        name = str(Journal(store, tenant, f"aliases/{model}/{alias}").head().state.get("version") or alias)
    found = store.get_version(tenant, model, check_name(name, "version", DriftDetectionError))
    if found is None:
        raise DriftDetectionError(f"drift: there is no version {version!r} of model {model!r} - register it first")
    return found


def sampling_series(stack: Stack) -> Iterator[SeriesKey]:
    """Series of the tenant that the sink has, of versions that have a name.

    Raises:
        DriftDetectionError: No sink can be read, or it does not answer.
    """
    with own_errors():
        yield from (key for key in _reader(stack).series(stack.tenant) if key.version != UNVERSIONED)


def sampled_versions(stack: Stack, model: str, window: timedelta, *, environment: str, end: datetime) -> list[str]:
    """The versions of which predictions of [end - window, end) were sampled, sorted.

    Raises:
        DriftDetectionError: No sink can be read, or it does not answer.
    """
    segments = live_segments(stack, model, end - window, end, environment, None)
    return sorted({one.series.version for one in segments if _kept(one)} - {UNVERSIONED})


def has_answered(stack: Stack, model: str, environment: str, start: datetime, end: datetime) -> bool:
    """Whether the model made any prediction in [start, end), sampled or not.

    Raises:
        DriftDetectionError: No sink can be read, or it does not answer.
    """
    with own_errors():
        sink = _reader(stack)
        keys = [key for key in sink.series(stack.tenant, model) if key.environment == environment]
        return any(next(iter(sink.read(key, start, end, merged=True)), None) is not None for key in keys)


def _kept(segment: Segment) -> list[Mapping[str, Any]]:
    return [row for row in segment.sample if isinstance(row.get("features"), Mapping)]


def live_rows(
    stack: Stack, model: str, window: Any, *, environment: str | None, version: str | None, end: datetime | None
) -> tuple[str, list[Mapping[str, Any]]]:
    """The features of sampled predictions of [end - window, end), and the version that answered them.

    Raises:
        DriftDetectionError: Nothing was sampled, or it was from several versions and none is named.
    """
    start, until = bounds(stack, model, window, end)
    segments = live_segments(stack, model, start, until, environment, version)
    if not segments:
        raise DriftDetectionError(f"drift: model {model!r}: no predictions in {window} before {until.isoformat()} - give another window")
    sampled: dict[str, list[Mapping[str, Any]]] = {}
    for segment in segments:
        if kept := _kept(segment):
            rows = sampled.setdefault(segment.series.version, [])
            rows += kept
            if len(rows) > 2 * _ROWS:
                rows[:] = uniform(rows, _ROWS)
    if not sampled:
        raise DriftDetectionError(
            f"drift: model {model!r}: its predictions carry no sample - name columns in monitoring.sample, give features= to "
            "track_prediction where no server does, or use check_version with data of your own"
        )
    if len(sampled) > 1:
        raise DriftDetectionError(f"drift: model {model!r}: versions {', '.join(sorted(sampled))} answered - give version=")
    answered, rows = sampled.popitem()
    return answered, [row["features"] for row in uniform(rows, _ROWS)]


def bounds(stack: Stack, model: str, window: Any, end: Any) -> tuple[datetime, datetime]:
    """The window [end - window, end); end None: now.

    Raises:
        DriftDetectionError: The model is no name, or the window or its end are none.
    """
    check_name(model, "model", DriftDetectionError)
    if not isinstance(window, timedelta) or window <= timedelta(0):
        raise DriftDetectionError(f"drift: window: {window!r:.40} is no length of time - give one such as timedelta(days=1)")
    until = stack.clock.now() if end is None else end
    if not isinstance(until, datetime):
        raise DriftDetectionError(f"drift: end: {end!r:.40} is no time - give datetime.now(UTC), or leave it out")
    if until.tzinfo is None:
        raise DriftDetectionError(f"drift: end: {until.isoformat()} has no zone - give datetime.now(UTC)")
    try:
        return until - window, until
    except OverflowError as error:
        raise DriftDetectionError(f"drift: window: {window} reaches too far into the past - give a shorter one") from error


def live_segments(
    stack: Stack, model: str, start: datetime, end: datetime, environment: str | None, version: str | None
) -> Sequence[Segment]:
    """What the sink has of a model in [start, end); None: of any environment or version.

    Raises:
        DriftDetectionError: No sink can be read, or it does not answer.
    """
    with own_errors():
        sink = _reader(stack)
        wanted = [
            key for key in sink.series(stack.tenant, model) if environment in (None, key.environment) and version in (None, key.version)
        ]
        return [segment for key in wanted for segment in sink.read(key, start, end)]


def _reader(stack: Stack) -> MonitorSink:
    for sink in stack.parts.sinks.values():
        if "read" in sink.capabilities:
            return sink
    raise DriftDetectionError("drift: none of the sinks can be read - add one that can, such as 'sqlite', to monitoring.sinks")
