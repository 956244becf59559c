"""Which units failed before in a rollout, as all processes of a server know it, the killed ones and the next ones included."""

from __future__ import annotations

import logging
import mmap
import os
from typing import TYPE_CHECKING, Final

from mlops_core.records.units import UnitFilter

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Units"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")


class Units:
    """The filter of one endpoint's rollout, in a file that is made when a unit first fails."""

    def __init__(self, path: Path, salt: str) -> None:
        self._path, self._salt = path, salt
        self._filter: UnitFilter | None = None
        self._broken = False

    def add(self, unit: str) -> bool:
        """Take in a unit that failed; answers whether it had before, and no where the file cannot be had: then every error counts."""
        if self._filter is None and not self._broken:
            try:
                self._filter = UnitFilter(_shared(self._path), self._salt)
            except OSError as error:
                self._broken = True
                _LOG.warning("%s: not to be had, so that each error of a unit counts: %s", self._path, error.strerror)
        return self._filter is not None and self._filter.add(unit)


def _shared(path: Path) -> mmap.mmap:
    """The file in memory. It is written in full first: where the disk is full, a hole would kill the process at its first use."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        missing = UnitFilter.SIZE - file.seek(0, os.SEEK_END)
        if missing > 0:
            file.write(bytes(missing))
            file.flush()
        return mmap.mmap(file.fileno(), UnitFilter.SIZE)
