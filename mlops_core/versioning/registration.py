"""Registering one version: everything is checked first, then bytes are stored, then one transaction makes the version visible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from mlops_core.artifacts import Artifacts
from mlops_core.artifacts.manifest import hash_file, scan
from mlops_core.exceptions import ConflictError, MLOpsError, VersioningError
from mlops_core.journal import journals_under
from mlops_core.names import check_name, is_name
from mlops_core.provenance import code_link, environment_link
from mlops_core.records import ArtifactRef, Comparison, LineageLink, ModelVersion, Query, Schema, VersionRegistered
from mlops_core.stack import Stack
from mlops_core.structure import nearest
from mlops_core.versioning.content import (
    Content,
    check_artifacts,
    check_key,
    check_metadata,
    check_parents,
    check_schema,
    check_source,
    check_version,
)
from mlops_core.versioning.lineage import parent_name

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore, Tracker

__all__ = ["Registration", "Request"]

_PATIENCE = 20  # looks for a run that a tracker may still have to hear of
_PAUSE = 0.1  # seconds between them


def _model(value: Any) -> str:
    return check_name(value, "model", VersioningError)


def _version(value: Any) -> str | None:
    return None if value is None else check_version(value)


def _path(value: Any) -> Path | None:
    return None if value is None else check_source(value)


def _run(value: Any) -> str | None:
    return None if value is None else check_name(value, "run_id", VersioningError)


def _format(value: Any) -> str:
    return "" if value is None else check_name(value, "format", VersioningError)


@frozen
class Request:
    """What to register. Making one checks every name, path and value, and raises ``VersioningError``."""

    model: str = field(converter=_model)
    version: str | None = field(converter=_version)
    path: Path | None = field(converter=_path)
    metadata: Mapping[str, Any] = field(converter=check_metadata)
    value: Any
    schema: Schema | None = field(converter=check_schema)
    parents: Sequence[LineageLink | str] = field(converter=check_parents)
    artifacts: Mapping[str, ArtifactRef | Path] = field(converter=check_artifacts)
    run_id: str | None = field(converter=_run)
    key: str | None = field(converter=check_key)
    format: str = field(converter=_format)

    def __attrs_post_init__(self) -> None:
        if self.value is not None and (self.path is not None or self.format):
            raise VersioningError("version_model: give either model or model_path (with its format), not both")


@define(eq=False)
class Registration:
    """Turns requests into versions of the stack's tenant."""

    stack: Stack

    @property
    def _store(self) -> RegistryStore:
        return self.stack.parts.registry

    def register(self, request: Request) -> ModelVersion:
        """The registered version; a repeated request answers the version of the first.

        Raises:
            VersioningError: The version is taken by another content, or a parent, run or file does not exist.
        """
        taken = None if request.version is None else self._store.get_version(self.stack.tenant, request.model, request.version)
        if taken is not None and request.key is not None and taken.key == request.key:
            return _living(taken)
        self.stack.signing.check_ready()
        parents = tuple(self._parent(request.model, parent) for parent in request.parents)
        self._check_run(request)
        self._check_format(request.format)
        if taken is not None and _differs(taken, request):
            raise _taken(taken)
        content = self._content(request, parents)
        if taken is not None:
            if content.digest(taken.version) != taken.digest:
                raise _taken(taken)
            return _living(taken)
        stored, made = self._add(request, content)
        if request.version not in {None, stored.version}:
            raise VersioningError(f"{stored.model}: key {stored.key!r} registered version {stored.version} before - give another key")
        if stored == made:
            self.stack.parts.emit(VersionRegistered(tenant=stored.tenant, at=stored.created, version=stored))
        return _living(stored)

    def _content(self, request: Request, parents: tuple[LineageLink, ...]) -> Content:
        artifacts = Artifacts(self.stack)
        extras = {name: artifacts.save_file(one, name) if isinstance(one, Path) else one for name, one in sorted(request.artifacts.items())}
        content = Content(
            self.stack.tenant,
            request.model,
            schema=request.schema,
            metadata=request.metadata,
            parents=parents,
            artifacts=extras,
        )
        if request.value is not None:
            ref = artifacts.save(request.value, request.model)
        elif request.path is not None:
            ref = artifacts.save_file(request.path, request.model)
        else:
            return content
        return evolve(content, files=ref.files, format=request.format or ref.format)

    def _add(self, request: Request, content: Content) -> tuple[ModelVersion, ModelVersion | None]:
        """The stored version, and what was made for this call."""
        provenance = self._provenance(content.parents)
        made: list[ModelVersion] = []

        def make(name: str, number: int | None) -> ModelVersion:
            now = self.stack.clock.now()
            version = content.version(name, now, number=number, key=request.key, run_id=request.run_id, provenance=provenance)
            made.append(self.stack.signing.signed(version))
            return made[-1]

        if request.version is None:
            stored = self._store.add_next_version(
                self.stack.tenant, request.model, lambda number: make(str(number), number), key=request.key
            )
            return stored, made[-1] if made else None
        try:
            return self._store.add_version(make(request.version, None)), made[-1]
        except ConflictError:
            found = self._store.get_version(self.stack.tenant, request.model, request.version)
            if found is None:
                raise
            if found.digest != made[-1].digest:
                raise _taken(found) from None
            return found, None

    def _provenance(self, parents: Sequence[LineageLink]) -> tuple[LineageLink, ...]:
        """Code and environment, unless the caller named them."""
        named = {link.kind for link in parents}
        found = [] if "environment" in named else [environment_link()]
        if "code" not in named and (code := code_link(self.stack.root)):
            found.insert(0, code)
        return tuple(found)

    def _parent(self, model: str, parent: Any) -> LineageLink:
        """``model:version`` or a version of the same model, with the digest that it has now."""
        if isinstance(parent, LineageLink) and parent.kind != "model":
            return parent
        name = parent.name if isinstance(parent, LineageLink) else parent
        if not isinstance(name, str):
            raise VersioningError(f"parents: expected a LineageLink or 'model:version', got {type(parent).__name__}")
        owner, _, version = name.rpartition(":")
        owner = check_name(owner or model, "parent", VersioningError)
        found = self._store.get_version(self.stack.tenant, owner, check_name(version, "parent", VersioningError))
        if found is None:
            raise VersioningError(f"parents: no version {version!r} of {owner!r} - register the parent first")
        if isinstance(parent, LineageLink) and parent.digest not in {"", found.digest}:
            raise VersioningError(f"parents: {name!r} is another content than the link's digest says - leave the digest out, or correct it")
        return LineageLink("model", parent_name(found.model, found.version), found.digest)

    def _check_run(self, request: Request) -> None:
        """A run that neither a pipeline nor a tracker knows is a mistake; a tracker that cannot answer is none.

        The likely places are asked first: going through all runs takes a read for each thousand.
        """
        run_id = request.run_id
        if run_id is None or self._is_likely_run(run_id, request.key) or self._is_tracked(run_id) or self._is_pipeline_run(run_id):
            return
        for _ in range(_PATIENCE):
            self.stack.clock.sleep(_PAUSE)
            if self._is_tracked(run_id):
                return
        raise VersioningError(
            f"run_id: no run {run_id!r} in the pipelines or trackers of tenant {self.stack.tenant!r} - give its run's id, or none"
        )

    def _check_format(self, name: str) -> None:
        """A version that nothing here could load is a mistake, unless it never named a format."""
        if name and name not in (known := self.stack.parts.formats):
            raise VersioningError(f"format: no format {name!r} is configured - {nearest(name, known)}")

    def _is_tracked(self, run_id: str) -> bool:
        return any(_may_know(tracker, self.stack.tenant, run_id) for tracker in self.stack.parts.trackers.values())

    def _is_likely_run(self, run_id: str, key: str | None) -> bool:
        """A run of the pipeline that the request's key begins with (``pipeline/run_id/stage``), or of the project's."""
        settings = self.stack.settings
        likely = {(key or "").partition("/")[0], settings.pipeline.name if settings.pipeline is not None else settings.project}
        names = [f"runs/{pipeline}/{run_id}" for pipeline in sorted(likely) if is_name(pipeline)]
        return any(self._store.read(self.stack.tenant, name, limit=1) for name in names)

    def _is_pipeline_run(self, run_id: str) -> bool:
        return any(name.endswith(f"/{run_id}") for name in journals_under(self._store, self.stack.tenant, "runs/"))


def _may_know(tracker: Tracker, tenant: str, run_id: str) -> bool:
    if "search" not in tracker.capabilities:
        return False
    try:
        return any(True for _ in tracker.find_runs(tenant, Query(Comparison("run_id", "=", run_id), limit=1)))
    except MLOpsError:
        return True


def _differs(taken: ModelVersion, request: Request) -> bool:
    """What can be told before any byte is stored."""
    if request.path is None:
        return taken.metadata != request.metadata
    found = {(relative, hash_file(at)) for relative, at in scan(request.path, request.path.resolve().name)}
    return taken.metadata != request.metadata or found != {(file.path, file.blob.sha256) for file in taken.files}


def _living(version: ModelVersion) -> ModelVersion:
    if version.retired:
        raise VersioningError(f"{version.model}: version {version.version} was deleted, and its name stays taken - give another version")
    return version


def _taken(version: ModelVersion) -> VersioningError:
    if version.retired:
        return VersioningError(f"{version.model}: version {version.version} was deleted, and its name stays taken - give another version")
    at = version.created.isoformat(timespec="seconds")
    return VersioningError(f"{version.model}: version {version.version} is taken by another content since {at} - give another version")
