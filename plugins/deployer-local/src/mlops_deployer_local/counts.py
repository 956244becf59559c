"""Counts that outlive the process that counted: integers in memory-mapped files, which a killed process leaves as they were.

A folder has one file for each process, and one base with what ended processes counted. A file is rows: a key, and its cells, which only
grow. A key is tenant, model, version, a kind, and perhaps more; a kind never changes what its cells mean. The supervisor loads this, so it
takes nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import mmap
import os
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlops_deployer_local.state import locked, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["HELD", "OTHER", "Counts", "Key", "fold", "holders", "total"]

Key = tuple[str, ...]
Series = tuple[str, ...]

HELD: Final = "held"
"""The kind whose cells also fall: what a process holds, and nobody once it has ended."""
OTHER: Final = "other"
"""The last part of a key that stands for all further ones of its series."""

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_LOST: Final = ".lost"  # marks of processes that count in vain
_FORMAT: Final = 1
_PAGE: Final = 1 << 16  # bytes, a multiple of what systems map; made of zeros that are written: to map what has no room on the disk kills
_WORD: Final = 8
_ROW: Final = struct.Struct("=II")  # bytes of the key, number of cells
_OWNER, _KIND = 3, 3  # parts of a key that name its series, and where its kind stands
_KEPT: Final = 7 * 86_400.0  # seconds since the last process that counted for a series ended
_MOST_GONE, _MOST_ROWS = 100, 100  # series that no process has any more, and rows of one


class Counts:
    """The rows of this process: in a file of ``folder``, or in its memory alone. Thread-safe, but for the cells.

    Where the folder takes no file, the process counts in memory and ``fault`` says why, in one line.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.fault = folder, ""
        self._rows: dict[Key, memoryview[int]] = {}
        self._path: Path | None = None
        self._lock, self._owned, self._mark = threading.Lock(), -1, -1
        self._page, self._used, self._pages = memoryview(b""), 0, 0
        if folder is not None:
            try:
                self._path, self._owned = _make_file(folder)
            except OSError as error:
                self._fail(folder, error)

    def row(self, key: Key, size: int) -> memoryview[int]:
        """The cells of a key, of which there are ``size``: zeros, where it is new."""
        with self._lock:
            if key not in self._rows:
                self._rows[key] = self._add(json.dumps(key).encode(), size)
            return self._rows[key]

    def total(self) -> dict[Key, list[int]]:
        """What all processes of the folder have counted; without one, this process.

        Raises:
            OSError: The folder cannot be read.
            ValueError: The base is not readable.
        """
        if self.folder is None:
            with self._lock:
                return {key: list(cells) for key, cells in self._rows.items()}
        if self._path is not None and not self._path.exists():
            raise FileNotFoundError(f"{self._path} was removed")
        return total(self.folder)

    def close(self) -> None:
        """Count no more: for the folder, this process has ended."""
        for handle in (self._owned, self._mark):
            if handle >= 0:
                os.close(handle)
        self._owned = self._mark = -1

    def _add(self, name: bytes, size: int) -> memoryview[int]:
        begin = -(-(_ROW.size + len(name)) // _WORD) * _WORD
        length = begin + size * _WORD
        if self._used + length > len(self._page):
            self._page, self._used = self._next_page(), _WORD
        row = self._page[self._used : self._used + length]
        row[: _ROW.size] = _ROW.pack(len(name), size)
        row[_ROW.size : _ROW.size + len(name)] = name
        self._used += length
        self._page[:_WORD].cast("Q")[0] = self._used  # last: until then nobody sees the row
        return row[begin:].cast("Q")

    def _next_page(self) -> memoryview[int]:
        if self._path is not None:
            try:
                with self._path.open("r+b") as file:
                    file.seek(self._pages * _PAGE)
                    file.write(bytes(_PAGE))
                    file.flush()
                    page = mmap.mmap(file.fileno(), _PAGE, offset=self._pages * _PAGE)
            except OSError as error:
                self._fail(self._path, error)
            else:
                self._pages += 1
                return memoryview(page)
        return memoryview(bytearray(_PAGE))

    def _fail(self, path: Path, error: OSError) -> None:
        self._path, self.fault = None, f"{path} cannot be written ({error.strerror}), so the counts of a process are lost"
        _LOG.warning("metrics: %s", self.fault)
        if self.folder is not None:
            with contextlib.suppress(OSError):  # where not even that can be, no other process can count either
                self._mark = _make_file(self.folder, _LOST)[1]


@dataclass
class _Base:
    """What ended processes counted: those whose files are ``held`` in it too. ``ended`` is when the last of them did, by series."""

    held: list[str] = field(default_factory=list)
    ended: dict[Series, float] = field(default_factory=dict)
    rows: dict[Key, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sizes = Counter(key[:_OWNER] for key in self.rows)

    @classmethod
    def read(cls, folder: Path) -> _Base:
        path = folder / "base.json"
        data = read_json(path)
        if data is None:
            return cls()
        if data.get("format") != _FORMAT:
            raise ValueError(f"{path}: format {data.get('format')!r} is not known to this release - install a newer one")
        try:
            series = [(tuple(one["series"]), one) for one in data["series"]]
            rows = {(*name, *rest): cells for name, one in series for rest, cells in one["rows"]}
            return cls(data["held"], {name: one["ended"] for name, one in series}, rows)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: not what this server wrote ({type(error).__name__}) - remove the file") from error

    def write(self, folder: Path) -> None:
        series: dict[Series, dict[str, Any]] = {name: {"series": name, "ended": at, "rows": []} for name, at in self.ended.items()}
        for key, cells in self.rows.items():
            series[key[:_OWNER]]["rows"].append((key[_OWNER:], cells))
        write_json(folder / "base.json", {"format": _FORMAT, "held": self.held, "series": list(series.values())})

    def take(self, key: Key, cells: Collection[int], now: float) -> None:
        """Add what a process counted that has ended."""
        series = key[:_OWNER]
        if not any(cells):
            if series in self.ended:
                self.ended[series] = now
            return
        self.ended[series] = now
        if key not in self.rows and len(key) > _OWNER + 1 and self._sizes[series] >= _MOST_ROWS:
            key = (*key[:-1], OTHER)
        self._sizes[series] += key not in self.rows
        _add(self.rows, key, cells)

    def forget(self, living: Collection[Series], now: float) -> None:
        """Drop series that no process has any more: old ones, and the oldest where there are too many."""
        gone = sorted((at, name) for name, at in self.ended.items() if name not in living)
        dropped = {name for at, name in gone if at < now - _KEPT} | {name for _, name in gone[:-_MOST_GONE]}
        self.ended = {name: at for name, at in self.ended.items() if name not in dropped}
        self.rows = {key: cells for key, cells in self.rows.items() if key[:_OWNER] not in dropped}


def total(folder: Path) -> dict[Key, list[int]]:
    """What all processes have counted, and what those that live hold. No count is left out or doubled by a fold at the same time.

    Raises:
        OSError: The folder cannot be read.
        ValueError: The base is not readable.
    """
    if any(_is_owned(path) for path in folder.glob(f"*{_LOST}")):
        raise ValueError("a process cannot write what it counts")
    while True:
        base = _Base.read(folder)
        rows = {key: list(cells) for key, cells in base.rows.items()}
        for path in folder.glob("*.counts"):
            if path.name in base.held:
                continue
            with contextlib.suppress(FileNotFoundError):  # folded: so the base has changed
                lives = _is_owned(path)
                for key, cells in _rows(path.read_bytes()):
                    if lives or key[_KIND] != HELD:
                        _add(rows, key, cells)
        if _Base.read(folder) == base:
            return rows


def holders(folder: Path, pid: int) -> set[tuple[str, str]]:
    """Of which models, by tenant, an ended process held requests or copies of them; of none, if its file is folded or cannot be read."""
    found: set[tuple[str, str]] = set()
    for path in folder.glob(f"{pid}-*.counts"):
        with contextlib.suppress(OSError):
            found |= {(key[0], key[1]) for key, cells in _rows(path.read_bytes()) if key[_KIND] == HELD and cells[0]}
    return found


def fold(folder: Path, now: float, *, kept: Collection[int] = (), living: Collection[Series] = ()) -> None:
    """Add what ended processes counted to the base, and remove their files. Whoever does it may be killed at any time.

    The base is replaced in one step and names the files that are in it, so a file that is still there counts once. Files of processes whose
    numbers are ``kept`` stay: somebody has yet to look at what these held. A series that no process has any more, nor is to have as one of
    the ``living``, is dropped a week after its last process ended, ``now`` being the time in seconds; 100 of them are kept at most.

    Raises:
        OSError: The folder cannot be written.
        ValueError: The base is not readable.
    """
    if not folder.is_dir():
        return
    with _alone(folder):
        for path in folder.glob(f"*{_LOST}"):
            if not _is_owned(path):
                path.unlink(missing_ok=True)
        files = sorted(folder.glob("*.counts"))
        staying = [path for path in files if _pid(path) in kept or _is_owned(path)]
        if staying == files:
            return
        base = _Base.read(folder)
        for path in (*(folder / name for name in base.held), *folder.glob(".base.json.*")):  # what one that was killed left behind
            path.unlink(missing_ok=True)
        ended = [path for path in files if path not in staying and path.name not in base.held]
        for key, cells in (row for path in ended for row in _rows(path.read_bytes())):
            if key[_KIND] != HELD:
                base.take(key, cells, now)
        base.held = [path.name for path in ended]
        base.forget({*living, *(key[:_OWNER] for path in staying for key, _ in _rows(path.read_bytes()))}, now)
        base.write(folder)
        for path in ended:
            path.unlink()


def _add(rows: dict[Key, list[int]], key: Key, cells: Collection[int]) -> None:
    known = rows.get(key)
    rows[key] = list(cells) if known is None else [one + more for one, more in zip(known, cells, strict=True)]


def _rows(data: bytes) -> Iterator[tuple[Key, tuple[int, ...]]]:
    """What a file holds. A process may have been killed at any time, or be counting."""
    for page in range(0, len(data) - _PAGE + 1, _PAGE):
        (used,) = struct.unpack_from("=Q", data, page)
        at = page + _WORD
        while at < page + used:
            try:
                length, size = _ROW.unpack_from(data, at)
                key = tuple(json.loads(data[at + _ROW.size : at + _ROW.size + length]))
                at += -(-(_ROW.size + length) // _WORD) * _WORD
                cells = struct.unpack_from(f"={size}Q", data, at)
            except (ValueError, struct.error):  # a power cut took what the system had not written yet
                break
            yield key, cells
            at += size * _WORD


def _make_file(folder: Path, suffix: str = ".counts") -> tuple[Path, int]:
    """A file, and a handle whose lock ends with this process. Nobody folds it before it is locked."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        path = folder / f"{os.getpid()}-{time.time_ns()}{suffix}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return path, handle


def _is_owned(path: Path) -> bool:
    """Whether the process that made a file lives."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # which two may have who look at the same time
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _pid(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _alone(folder: Path) -> AbstractContextManager[None]:
    """One process at a time makes or removes files."""
    return locked(folder / "lock")
