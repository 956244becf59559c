"""A folder of blobs by digest: ``{tenant}/{first two digits}/{sha256}``, and temporary files of writers in ``.tmp``.

A writer holds an flock on its temporary file for as long as it lives, so that a sweep tells a dead one's from a slow one's.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from attrs import define, field

from mlops_core.exceptions import ArtifactError
from mlops_registry_sql.locks import lock, release, try_lock
from mlops_registry_sql.owner import MARKER
from mlops_registry_sql.places import Found, Written, check_blob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.records import Blob
    from mlops_core.roles import Progress

__all__ = ["BlobFolder", "absolute", "make_folder", "sync_folder"]

_BINARY = getattr(os, "O_BINARY", 0)
_CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@define(eq=False)
class BlobFolder:
    """Bytes below ``root``. Which of them count is the database's word."""

    root: Path
    _synced: set[Path] = field(factory=set, init=False, repr=False)

    @property
    def temporary(self) -> Path:
        """Where writers write."""
        return self.root / ".tmp"

    def path(self, tenant: str, sha256: str) -> Path:
        """Where a blob lies.

        Raises:
            ArtifactError: The tenant or the digest could name something else.
        """
        check_blob(tenant, sha256)
        return self.root / tenant / sha256[:2] / sha256

    @property
    def named_anew(self) -> bool:
        """A blob's name is its digest."""
        return False

    def close(self) -> None:
        """Nothing is held open between calls."""

    def marker(self) -> str | None:
        """The registry that the folder belongs to, if any."""
        try:
            return (self.root / MARKER).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    def mark(self, text: str) -> None:
        """Whole or not at all, and power-safe; the first one stays."""
        make_folder(self.temporary)
        path, descriptor = self._reserve()
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
            with suppress(FileExistsError):
                os.link(path, self.root / MARKER)
            sync_folder(self.root)
        finally:
            path.unlink(missing_ok=True)
            release(descriptor)

    def holds(self, tenant: str, blob: Blob, location: str) -> bool:
        """Whether the file is there with all its bytes."""
        try:
            return self.path(tenant, blob.sha256).stat().st_size == blob.size
        except FileNotFoundError:
            return False

    @contextmanager
    def writing(self, tenant: str, source: BinaryIO, size: int, sha256: str | None, progress: Progress | None) -> Iterator[Written]:
        """Stream the source into a temporary file that exists until the block ends, unless it was placed.

        Raises:
            ArtifactError: The source has another size or digest.
        """
        make_folder(self.temporary)
        path, descriptor = self._reserve()
        file = os.fdopen(descriptor, "wb", buffering=0)
        try:
            found = _copy(source, descriptor, size, progress)
            if sha256 not in (None, found):
                raise ArtifactError(f"registry: expected sha256 {sha256}, the source has {found} - did it change while it was read?")
            os.fsync(descriptor)
            if sys.platform == "win32":  # pragma: no cover  an open file cannot be renamed there
                file.close()
            yield Written(path.name, found, size)
        finally:
            path.unlink(missing_ok=True)
            file.close()

    def _reserve(self) -> tuple[Path, int]:
        """A locked temporary file; once more if a sweep took it between its creation and the lock."""
        while True:
            path = self.temporary / uuid.uuid4().hex
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
            lock(descriptor)
            if os.fstat(descriptor).st_nlink:
                return path, descriptor
            os.close(descriptor)

    def place(self, written: Written, tenant: str) -> None:
        """Give a written file its name, and sync every folder on the way."""
        target = self.path(tenant, written.sha256)
        if target.parent not in self._synced or not target.parent.is_dir():
            make_folder(target.parent)
            for folder in (target.parent.parent, self.root, self.root.parent):
                sync_folder(folder)
            self._synced.add(target.parent)
        (self.temporary / written.name).replace(target)
        written.placed = True
        sync_folder(target.parent)

    def open(self, tenant: str, blob: Blob, location: str, offset: int) -> BinaryIO:
        """A stream from ``offset``; raises ``ArtifactError``."""
        try:
            stream = self.path(tenant, blob.sha256).open("rb")
        except FileNotFoundError:
            raise ArtifactError(f"registry: no blob {blob.sha256} in the store") from None
        stream.seek(offset)
        return stream

    def remove(self, tenant: str, sha256: str, location: str) -> None:
        """Delete the file; one that is gone already is fine."""
        self.path(tenant, sha256).unlink(missing_ok=True)

    def remove_older(self, tenant: str, sha256: str, location: str, age: float) -> bool:
        """Delete the file if it was written at least ``age`` seconds ago."""
        try:
            path = self.path(tenant, sha256)
            if time.time() - path.stat().st_mtime < age:
                return False
            path.unlink()
        except (ArtifactError, FileNotFoundError):
            return False
        return True

    def abandoned(self) -> Iterator[tuple[str, int, float]]:
        """Temporary files of dead writers: name, size, age in seconds."""
        with suppress(FileNotFoundError):
            for path in sorted(self.temporary.iterdir()):
                with _dead(path) as found:
                    if found is not None:
                        yield path.name, found.st_size, time.time() - found.st_mtime

    def sweep(self) -> None:
        """Delete the temporary files of every dead writer."""
        for name, _, _ in list(self.abandoned()):
            self.drop_abandoned(name)

    def drop_abandoned(self, location: str) -> bool:
        """Delete a temporary file if its writer is dead."""
        path = self.temporary / Path(location).name
        with _dead(path) as found:
            if found is None:
                return False
            path.unlink()
            return True

    def files(self) -> Iterator[Found]:
        """Every blob's file."""
        now = time.time()
        for path in sorted(self.root.glob("*/??/*")):
            tenant, digest = path.parts[-3], path.name
            if tenant != self.temporary.name and _DIGEST.fullmatch(digest):
                with suppress(FileNotFoundError):
                    found = path.stat()
                    yield Found(tenant, digest, "", found.st_size, now - found.st_mtime)


def _copy(source: BinaryIO, descriptor: int, size: int, progress: Progress | None) -> str:
    digest, done = hashlib.sha256(), 0
    while chunk := source.read(min(_CHUNK, size + 1 - done)):
        done += len(chunk)
        if done > size:
            raise ArtifactError(f"registry: expected {size} bytes, the source has more - did it change while it was read?")
        digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if progress is not None:
            progress(done, size)
    if done != size:
        raise ArtifactError(f"registry: expected {size} bytes, the source has {done} - did it change while it was read?")
    return digest.hexdigest()


@contextmanager
def _dead(path: Path) -> Iterator[os.stat_result | None]:
    """The file's stat, with its lock held, if no writer holds it; else None."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        found = os.fstat(descriptor) if try_lock(descriptor) else None
        yield found if found is not None and found.st_nlink else None
    finally:
        release(descriptor)


def absolute(path: str | os.PathLike[str]) -> Path:
    """As the working folder is now: it may change before the first use."""
    return Path(path).absolute()


def make_folder(path: Path) -> None:
    """Create a folder with its parents, each synced in the one above it: a file in a folder that power loss forgets is lost."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Write the folder's entries to the disk, where the system opens folders."""
    if sys.platform == "win32":  # pragma: no cover
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
