"""The facade of the model registry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attrs import evolve

from mlops_core.artifacts import Artifacts
from mlops_core.artifacts.manifest import content_digest, root_of
from mlops_core.exceptions import VersioningError
from mlops_core.names import check_name
from mlops_core.query import parse
from mlops_core.records import And, ArtifactRef, Comparison, LineageLink, NewEntry, Page, Query, Schema
from mlops_core.versioning.aliases import Aliases
from mlops_core.versioning.content import check_key
from mlops_core.versioning.database import store_of
from mlops_core.versioning.diff import compare
from mlops_core.versioning.guard import guarded
from mlops_core.versioning.lineage import trace
from mlops_core.versioning.registration import Registration, Request
from mlops_core.versioning.sweeping import GRACE, sweep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from types import TracebackType

    from mlops_core.records import Leftover, ModelVersion
    from mlops_core.roles import RegistryStore
    from mlops_core.stack import Stack
    from mlops_core.versioning.aliases import Alias
    from mlops_core.versioning.diff import VersionDiff
    from mlops_core.versioning.lineage import Lineage

__all__ = ["ModelVersioning"]

_FIELDS = ("model", "version", "number", "format", "run_id", "digest", "created")
_NAMED = 5


class ModelVersioning:
    """Registers versions of models and finds them again.

    A version is immutable and visible only with all of its files. Its id is its version text: what ``version_model`` answers can be given
    to every method that takes a version, here and in ``ModelDeployment``. Where a version may be left out, the newest is meant;
    ``@champion`` means the version that this alias points to. Stateless beside its stack: safe from several threads and after a fork.

    Args:
        db: A SQLAlchemy URL or engine, or a registry store, in place of the configured registry; None for that one.
        tenant_id: The tenant; None for the project's.
        stack: The stack to stand on; None: that of the project (see ``mlops_core.stack.locate``).

    Raises:
        VersioningError: From every method, one line.
    """

    @guarded()
    def __init__(self, db: Any = None, tenant_id: str | None = None, *, stack: Stack | None = None) -> None:
        self._owned = db is not None
        self._stack = _stack(stack, tenant_id, db)

    # --- registration

    @guarded()
    def version_model(  # noqa: PLR0913  the specification's call, and what a version can be given besides
        self,
        model_id: str,
        version: str | None = None,
        model_path: str | os.PathLike[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        model: Any = None,
        schema: Schema | Mapping[str, Any] | None = None,
        parents: Sequence[LineageLink | str] = (),
        artifacts: Mapping[str, ArtifactRef | str | os.PathLike[str]] | None = None,
        run_id: str | None = None,
        key: str | None = None,
        format: str | None = None,  # noqa: A002  the record's word for it
    ) -> str:
        """Register a version of a model; bad input registers nothing.

        Args:
            model_id: The registered model's name.
            version: A name that is not digits only; None gives the next automatic number (``1``, ``2``, ...), without gaps.
            model_path: The model's file or folder; it may hold no symbolic link.
            metadata: JSON values by name; what ``find`` compares.
            model: The model itself in place of a path, written by the first format that accepts it.
            schema: Its input and output columns.
            parents: What it was made of: links, or ``model:version`` (or a version of the same model).
            artifacts: Named extras, stored with it: references or paths.
            run_id: The pipeline's or tracker's run that made it.
            key: Names the request: a repeated one answers the version of the first, whatever it holds.
            format: The format of ``model_path``; None recognises it by content.

        Returns:
            The version's id: its version text. The same content under the same version answers it again; another is an error.
        """
        request = Request(model_id, version, model_path, metadata, model, schema, parents, artifacts, run_id, key, format)
        return Registration(self._stack).register(request).version

    @guarded()
    def delete_version(self, model_id: str, version: str, reason: str = "") -> None:
        """Hide a version. Its name stays taken, its files are kept, and its lineage can still be read.

        Raises:
            VersioningError: There is no such version, or an alias points to it.
        """
        found = self._named(model_id, version)
        pointing = [alias.name for alias in self._aliases(found.model).all() if alias.version == found.version]
        if pointing:
            raise VersioningError(
                f"{found.model}: alias {pointing[0]!r} points to version {found.version} - move or delete the alias first"
            )
        entry = NewEntry(self._stack.clock.now(), "retired", change={"version": found.version, "reason": reason})
        self._store.retire_version(self._stack.tenant, found.model, found.version, entry)
        self._aliases(found.model).leave(found.version)

    # --- retrieval

    @guarded()
    def get_version(self, model_id: str, version: str | None = None) -> ModelVersion:
        """A version: by name, by ``@alias``, or (None) the newest."""
        return self._resolve(model_id, version)

    @guarded()
    def list_versions(self, model_id: str) -> tuple[ModelVersion, ...]:
        """Every living version of a model, oldest first."""
        name = check_name(model_id, "model", VersioningError)
        return self._store.find_versions(self._stack.tenant, Query(Comparison("model", "=", name))).items

    @guarded()
    def find(
        self, filter_string: str = "", *, model_id: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[ModelVersion]:
        """Living versions that match a filter such as ``accuracy >= 0.9 and dataset_version = 'v2.1' order by accuracy desc``.

        A bare name is an attribute (model, version, number, format, run_id, digest, created) or else ``metadata.`` that name. Oldest first
        unless the filter orders. ``limit`` versions a page; ``cursor`` as the page before answered it.
        """
        query = parse(filter_string, default="metadata", attributes=_FIELDS, limit=limit, cursor=cursor, error=VersioningError)
        if model_id is not None:
            mine = Comparison("model", "=", check_name(model_id, "model", VersioningError))
            query = evolve(query, where=mine if query.where is None else And((mine, query.where)))
        return self._store.find_versions(self._stack.tenant, query)

    @guarded()
    def models(self) -> tuple[str, ...]:
        """Names of the models that have a living version."""
        page = self._store.models(self._stack.tenant)
        names = page.items
        while page.cursor is not None:
            page = self._store.models(self._stack.tenant, cursor=page.cursor)
            names += page.items
        return names

    @guarded()
    def get_lineage(self, model_id: str, version: str | None = None) -> Lineage:
        """Where a version comes from and which versions come from it; print it for a tree. Deleted versions keep their lineage."""
        return trace(self._store, self._resolve(model_id, version, retired=True))

    @guarded()
    def diff(self, model_id: str, a: str, b: str) -> VersionDiff:
        """What differs from version ``a`` to version ``b``; print it for a list."""
        return compare(self._named(model_id, a), self._named(model_id, b))

    # --- aliases

    @guarded()
    def set_alias(self, model_id: str, alias: str, version: str, *, key: str | None = None) -> Alias:
        """Point an alias such as ``champion`` to a version. ``key`` makes a retry find its own change."""
        found = self._named(model_id, version)
        return self._aliases(found.model).set(alias, found.version, check_key(key))

    @guarded()
    def get_alias(self, model_id: str, alias: str) -> Alias:
        """The alias with its version and generation."""
        return self._aliases(model_id).get(alias)

    @guarded()
    def list_aliases(self, model_id: str) -> tuple[Alias, ...]:
        """Aliases of a model that point to a version, by name."""
        return tuple(self._aliases(model_id).all())

    @guarded()
    def alias_history(self, model_id: str, alias: str) -> tuple[Alias, ...]:
        """Every change of an alias, oldest first."""
        return tuple(self._aliases(model_id).history(alias))

    @guarded()
    def delete_alias(self, model_id: str, alias: str) -> None:
        """Let an alias point to nothing; its history stays."""
        self._aliases(model_id).delete(alias)

    # --- files

    @guarded()
    def load_model(self, model_id: str, version: str | None = None) -> Any:
        """The model itself, after its bytes were verified. A format that runs code must be named by ``models.trust``."""
        found = self._with_files(model_id, version)
        size = sum(file.blob.size for file in found.files)
        return Artifacts(self._stack).load(ArtifactRef(content_digest(found.files), size, found.format, found.model, found.files))

    @guarded()
    def download(self, model_id: str, version: str | None, to: str | os.PathLike[str]) -> Path:
        """Write the verified file or folder of a version into the folder ``to``, which is created when missing.

        Returns:
            Where it lies. Nothing is overwritten, and nothing appears before all of it is verified.
        """
        found = self._with_files(model_id, version)
        folder = _folder(to)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VersioningError(f"download: {folder} cannot be made ({error.strerror}) - give a folder") from error
        name = root_of(found.files)
        if name is not None and (folder / name).exists():
            raise VersioningError(f"download: {name} is in the folder already - remove it, or give another folder")
        fetched = Artifacts(self._stack).fetch(found, folder)
        if name is None:  # files side by side have no one name: they stay together in a folder named by digest
            return fetched
        target = fetched.rename(folder / name)
        fetched.parent.rmdir()
        return target

    # --- upkeep

    @guarded()
    def sweep(self, grace: timedelta = GRACE, *, dry_run: bool = False) -> tuple[Leftover, ...]:
        """Remove what crashes left of this tenant and nothing has used for ``grace``; answers what was (or would be) removed.

        Never a living writer's file, nor a blob that a version or a journal names.
        """
        return sweep(self._store, grace, tenant=self._stack.tenant, dry_run=dry_run)

    def close(self) -> None:
        """Close the registry that was given as ``db``; the project's own closes with the project."""
        if self._owned:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def tenant_id(self) -> str:
        """The tenant that this facade reads and writes for."""
        return self._stack.tenant

    @property
    def _store(self) -> RegistryStore:
        return self._stack.parts.registry

    def _aliases(self, model_id: str) -> Aliases:
        return Aliases(self._store, self._stack.tenant, self._stack.clock, check_name(model_id, "model", VersioningError))

    def _with_files(self, model_id: str, version: str | None) -> ModelVersion:
        found = self._resolve(model_id, version)
        self._stack.signing.check(found)
        if not found.files:
            raise VersioningError(f"{found.model}: version {found.version} has no files - it was registered without a model")
        return found

    def _named(self, model_id: str, version: Any) -> ModelVersion:
        """A version that has to be said: None is no word for the newest here."""
        if version is None:
            raise VersioningError("version: expected text, got None - give the version, or '@' and an alias")
        return self._resolve(model_id, version)

    def _resolve(self, model_id: str, version: str | None, *, retired: bool = False) -> ModelVersion:
        """The version that the words mean."""
        model = check_name(model_id, "model", VersioningError)
        if version is None:
            return self._newest(model)
        if str(version).startswith("@"):
            alias = self._aliases(model).get(version[1:])
            version = str(alias.version)
        found = self._store.get_version(self._stack.tenant, model, check_name(version, "version", VersioningError))
        if found is None:
            raise self._unknown(model, version)
        if found.retired and not retired:
            raise VersioningError(f"{model}: version {version} was deleted - `list_versions` tells which there are")
        return found

    def _newest(self, model: str) -> ModelVersion:
        """The last one added."""
        last = self._last(model, 1)
        if not last:
            raise self._unknown(model, None)
        return last[0]

    def _last(self, model: str, limit: int) -> tuple[ModelVersion, ...]:
        query = Query(Comparison("model", "=", model), limit=limit)
        return self._store.find_versions(self._stack.tenant, query, newest_first=True).items

    def _unknown(self, model: str, version: str | None) -> VersioningError:
        there = [one.version for one in self._last(model, _NAMED)]
        if not there:
            return VersioningError(f"registry: no model {model!r} in tenant {self._stack.tenant!r} - register a version first")
        return VersioningError(f"{model}: no version {version!r} (the newest are: {', '.join(there)}) - give one of them")


def _folder(to: Any) -> Path:
    if not isinstance(to, str | os.PathLike) or not str(to) or "\0" in str(to):
        raise VersioningError(f"download: {to!r} is no path - give a folder")
    return Path(to).absolute()


def _stack(stack: Stack | None, tenant: str | None, db: Any) -> Stack:
    from mlops_core.stack import stack_for
    from mlops_core.stack.sealed import SealGuard

    found = stack_for(stack, tenant)
    return found if db is None else found.replacing(registry=SealGuard(store_of(db, found.root)))
