"""Files into the registry's store and out of it: streamed in chunks of 1 MiB, hashed on the way."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from typing import TYPE_CHECKING

from mlops_core.artifacts.manifest import CHUNK, check_names, check_paths, layout_digest, open_plain, root_of, scan, verify
from mlops_core.artifacts.scratch import scratch
from mlops_core.exceptions import ArtifactError, CorruptArtifactError, MLOpsError
from mlops_core.records import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlops_core.roles import Progress, RegistryStore

__all__ = ["download", "upload"]


def upload(store: RegistryStore, tenant: str, path: Path, root: str, progress: Progress | None = None) -> tuple[File, ...]:
    """Store a file or folder under the relative path ``root``; the store hashes what passes through.

    Raises:
        ArtifactError: Unreadable, a link or a name among it that cannot be kept, changed while it was read, or the store failed.
    """
    files = []
    found = scan(path, root)
    check_names([relative for relative, _ in found], root)
    for relative, source in found:
        with open_plain(source) as stream, _wrapped(root):
            size = os.fstat(stream.fileno()).st_size
            files.append(File(relative, store.put_artifact(tenant, stream, size=size, progress=progress)))
    return tuple(files)


def download(store: RegistryStore, tenant: str, files: Sequence[File], into: Path, name: str) -> Path:
    """Stream ``files`` into a private folder of ``into`` and answer where they lie.

    A copy that is there already is hashed again and used, or replaced if it does not match. Nothing appears before all of it is verified.

    Raises:
        CorruptArtifactError: The store's bytes are not those that were registered, or the manifest is hostile.
        ArtifactError: The store failed or does not have them.
    """
    check_paths(files, name)
    target = into / layout_digest(files)
    if not _is_intact(target, files, name):
        with scratch(into) as folder:
            fresh = folder / "files"
            fresh.mkdir(mode=0o700)
            for file in files:
                _receive(store, tenant, file, fresh / file.path, name)
            _publish(fresh, target, files, name)
    root = root_of(files)
    return target if root is None else target / root


def _receive(store: RegistryStore, tenant: str, file: File, path: Path, name: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with _wrapped(name), contextlib.closing(store.open_artifact(tenant, file.blob)) as stream, path.open("xb") as out:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > file.blob.size:
                break
            digest.update(chunk)
            out.write(chunk)
    if size != file.blob.size or digest.hexdigest() != file.blob.sha256:
        raise CorruptArtifactError(
            f"artifact {name}: the store's bytes of {file.path} do not match the registered sha256 - restore the store, or register again"
        )


def _is_intact(target: Path, files: Sequence[File], name: str) -> bool:
    if not target.exists():
        return False
    try:
        verify(target, files, name)
    except CorruptArtifactError:
        return False
    return True


def _publish(fresh: Path, target: Path, files: Sequence[File], name: str) -> None:
    """Rename into place. Another process may have been first: its copy is used if it is whole."""
    try:
        fresh.rename(target)
    except OSError as error:
        if _is_intact(target, files, name):
            return
        if not target.exists():
            raise ArtifactError(f"artifact {name}: cannot be kept in {target.parent} ({error.strerror})") from error
        target.rename(fresh.with_name("spoilt"))
        fresh.rename(target)
        shutil.rmtree(fresh.with_name("spoilt"), ignore_errors=True)


@contextlib.contextmanager
def _wrapped(name: str) -> Iterator[None]:
    """A store's own exception becomes an ``ArtifactError``."""
    try:
        yield
    except MLOpsError:
        raise
    except Exception as error:
        raise ArtifactError(f"artifact {name}: the registry's store failed: {type(error).__name__}: {error}") from error
