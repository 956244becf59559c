"""The durable spool: an append-only file of records that a dead process leaves readable.

An append is process-safe: one ``write`` into the page cache, so that it survives ``kill -9`` of the process, not the loss of power. Each
line is framed by its sequence number and CRC-32: a last line that is torn ends the reading, one that is damaged is passed over. The
owner holds a lock on the file for as long as it lives: a spool whose lock is free belongs to a dead process, and whoever takes the lock
may replay it.

A consumer's progress is two numbers, ``sent`` and ``done``, written before and after each delivery. A replay begins with exactly the
records (done, sent] as one batch again, so that a backend which remembers (writer, sequence) never applies one twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from attrs import define, field, frozen

from mlops_core.exceptions import MLOpsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Follower", "Mark", "Spool", "abandoned"]

_log = logging.getLogger(__name__)
_VERSION: Final = 1
_SUFFIX: Final = ".spool"
_CHUNK: Final = 1000
_MAKING: Final = 60.0
_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)  # Windows has none, and inherits nothing


@frozen
class Mark:
    """How far a consumer is: all up to ``done`` is delivered, all up to ``sent`` was on its way."""

    done: int = 0
    sent: int = 0


@define(eq=False)
class Spool:
    """One append-only file, owned by this object until ``close``. Safe from several threads; of no use in a forked child.

    Open one with ``Spool.open``; records are mappings of JSON values (NaN and infinities included).
    """

    path: Path
    _file: int = field(repr=False)
    writer: str
    last: int
    _size: int = field(repr=False)
    _pid: int = field(factory=os.getpid, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    @classmethod
    def open(cls, folder: Path, name: str) -> Spool:
        """Create a spool, or take over that of a dead process; a line torn by its death is cut off.

        Lines that are damaged otherwise are left out with a warning, and the file as it was is kept beside it.

        Raises:
            MLOpsError: A live process owns it, or a newer release wrote it.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{name}{_SUFFIX}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _CLOEXEC, 0o600)
        try:
            removed = not _own(handle, path)
            spool = None if removed else cls(path, *_recover(handle, path))
        except BaseException:
            os.close(handle)
            raise
        if spool is None:
            os.close(handle)
            return cls.open(folder, name)
        return spool

    @property
    def mine(self) -> bool:
        """False in a forked child, where the parent goes on writing."""
        return os.getpid() == self._pid

    def append(self, record: Mapping[str, Any]) -> int:
        """Write one record and answer its sequence number, from 1 without gaps; process-safe when it returns.

        Raises:
            MLOpsError: The disk is full or the file is gone; nothing of the record stays.
        """
        with self._lock:
            line = _frame(self.last + 1, record)
            try:
                _write(self._file, line)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._size)
                raise MLOpsError(f"spool: cannot write {self.path.name}: {error.strerror} - free space and call again") from error
            self.last += 1
            self._size += len(line)
            return self.last

    def read(self, after: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """Records with a sequence number greater than ``after``, in order, as they are on disk now."""
        follower = self.follow(after)
        try:
            while taken := follower.take(_CHUNK):
                yield from taken
        finally:
            follower.close()

    def follow(self, after: int = 0) -> Follower:
        """A reader that stands behind record ``after`` and keeps its place between calls."""
        follower = Follower(self.path.open("rb"))
        while follower.take(_CHUNK, upto=after):
            pass
        return follower

    def mark(self, consumer: str) -> Mark:
        """A consumer's progress; nothing delivered if there is no record of it."""
        return _read_mark(self._mark_path(consumer))

    def set_mark(self, consumer: str, mark: Mark) -> None:
        """Keep a consumer's progress; one short in-place write."""
        handle = os.open(self._mark_path(consumer), os.O_WRONLY | os.O_CREAT | _CLOEXEC, 0o600)
        try:
            os.write(handle, b"%020d %020d\n" % (mark.done, mark.sent))
        finally:
            os.close(handle)

    def _mark_path(self, consumer: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{consumer}")

    def close(self) -> None:
        """Give up ownership; what is not delivered stays on disk for ``abandoned``. Idempotent."""
        with self._lock:
            if self._file >= 0:
                if self.mine:
                    _unlock(self._file)  # a forked child may hold the file open
                os.close(self._file)
                self._file = -1

    def remove(self) -> None:
        """Erase a spool that every consumer has, marks included, and give up ownership."""
        self.path.unlink(missing_ok=True)
        for mark in self.path.parent.glob(f"{self.path.name}.*"):
            mark.unlink(missing_ok=True)
        self.close()


def abandoned(folder: Path) -> Iterator[Spool]:
    """Take over the spools of dead processes, one at a time; those of living ones are passed over, also while they are being made."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        if _is_being_made(path):
            continue
        try:
            spool = Spool.open(folder, path.name.removesuffix(_SUFFIX))
        except MLOpsError:
            continue
        yield spool


def _is_being_made(path: Path) -> bool:
    """Whether its creator may be on the way from the empty file to the lock; after a minute it is taken for dead."""
    try:
        follower = Follower(path.open("rb"))
        try:
            return not follower.take(1) and time.time() - path.stat().st_mtime < _MAKING
        finally:
            follower.close()
    except FileNotFoundError:
        return True


def _own(handle: int, path: Path) -> bool:
    """Take the lock; False if the file was replayed and removed in the meantime."""
    if not _lock(handle):
        raise MLOpsError(f"spool: {path.name} belongs to a live process - end that run first")
    return os.fstat(handle).st_nlink > 0


def _recover(handle: int, path: Path) -> tuple[int, str, int, int]:
    """Cut off what a crash tore, write the header of a new file; answers handle, writer, last sequence number and size."""
    header, last, size, damaged = _survey(path)
    if damaged:
        _keep(path, damaged)
    if header is None and not last:
        os.ftruncate(handle, 0)
        header = {"version": _VERSION, "writer": os.urandom(8).hex()}
        _write(handle, _frame(0, header))
        return handle, header["writer"], 0, os.fstat(handle).st_size
    if header is None:  # damaged: another writer, but the same one however often the file is opened
        header = {"version": _VERSION, "writer": hashlib.sha256(path.name.encode()).hexdigest()[:16]}
    if header["version"] > _VERSION:
        raise MLOpsError(f"spool: {path.name} was written by a newer release (format {header['version']}) - upgrade motadata-mlops-core")
    os.ftruncate(handle, size)
    had = (_read_mark(mark).sent for mark in path.parent.glob(f"{path.name}.*"))
    return handle, header["writer"], max(last, *had, 0), size  # a number that a consumer may have is not given again


def _read_mark(path: Path) -> Mark:
    try:
        done, sent = (int(part) for part in path.read_text().split())
    except FileNotFoundError:
        return Mark()
    except ValueError:  # torn: the backend drops what it has already
        return Mark()
    return Mark(done, sent)


def _keep(path: Path, damaged: int) -> None:
    """Keep a damaged file as it was found first, and say so then."""
    copy = path.with_suffix(".damaged")
    if not copy.exists():
        shutil.copy2(path, copy)
        _log.warning("spool: %s: %d damaged lines are left out, the others are used - the file as it was is %s", path.name, damaged, copy)


def _frame(sequence: int, record: Mapping[str, Any]) -> bytes:
    body = json.dumps(record, separators=(",", ":")).encode()
    return b"%d %08x %s\n" % (sequence, zlib.crc32(body), body)


def _write(handle: int, line: bytes) -> None:
    """A short write (a full disk) is an error, since half a line would end every later reading."""
    written = os.write(handle, line)
    if written != len(line):
        raise OSError(28, "No space left on device")


@define(eq=False)
class Follower:
    """Reads a spool's records in order, and goes on where it stopped when more are appended. ``damaged`` counts the lines passed over."""

    _stream: BinaryIO = field(repr=False)
    damaged: int = field(default=0, init=False)
    _next: int = field(default=0, init=False)

    def take(self, limit: int, *, upto: int | None = None) -> list[tuple[int, dict[str, Any]]]:
        """At most ``limit`` further records, none beyond ``upto``; empty at the end. An incomplete line is left for the next call."""
        taken: list[tuple[int, dict[str, Any]]] = []
        while len(taken) < limit:
            at = self._stream.tell()
            line = self._stream.readline()
            found = _parse(line)
            if not line.endswith(b"\n") or (found is not None and upto is not None and found[0] > upto):
                self._stream.seek(at)
                break
            if found is None or found[0] < self._next:
                self.damaged += 1
                continue
            taken.append(found)
            self._next = found[0] + 1
        return taken

    @property
    def offset(self) -> int:
        """Bytes read so far."""
        return self._stream.tell()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._stream.close()


def _parse(line: bytes) -> tuple[int, dict[str, Any]] | None:
    sequence, _, rest = line.partition(b" ")
    crc, _, body = rest.partition(b" ")
    if not sequence.isdigit() or crc != b"%08x" % zlib.crc32(body[:-1]):
        return None
    return int(sequence), json.loads(body)


def _survey(path: Path) -> tuple[dict[str, Any] | None, int, int, int]:
    """Header, last sequence number, the length up to a torn line, and the number of damaged lines."""
    follower = Follower(path.open("rb"))
    try:
        header = next((record for _, record in follower.take(1, upto=0)), None)
        last = 0
        while taken := follower.take(_CHUNK):
            last = taken[-1][0]
        return header, last, follower.offset, follower.damaged
    finally:
        follower.close()


if sys.platform == "win32":  # pragma: no cover  another system's branch

    def _lock(handle: int) -> bool:
        import msvcrt

        os.lseek(handle, 1 << 40, os.SEEK_SET)  # Windows' locks are mandatory: lock a byte that nobody reads
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        import msvcrt

        os.lseek(handle, 1 << 40, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:

    def _lock(handle: int) -> bool:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(handle: int) -> None:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_UN)
