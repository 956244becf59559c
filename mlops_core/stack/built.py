"""Backends that are built at their first use, once per process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import define, field

from mlops_core.exceptions import ConfigError
from mlops_core.roles import Backend
from mlops_core.structure import nearest, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Lazy", "Shelf"]

T = TypeVar("T")
_LOG: Final = logging.getLogger(__name__)


@define(eq=False)
class Shelf:
    """The backends that one process has built, each once, by the first who asks."""

    _lock: threading.RLock = field(factory=threading.RLock, init=False)
    _backends: dict[tuple[str, str], Backend] = field(factory=dict, init=False)

    def get(self, role: str, name: str, make: Callable[[], Backend]) -> Any:
        """The backend of this role and name."""
        with self._lock:
            if (role, name) not in self._backends:
                self._backends[role, name] = make()
            return self._backends[role, name]

    def close(self) -> None:
        """Close what was built, the newest first; one that fails to close is logged and stops nobody."""
        for (role, name), backend in reversed(tuple(self._backends.items())):
            try:
                backend.close()
            except Exception as error:  # noqa: BLE001  the others must be closed all the same
                _LOG.warning("%s.%s: could not be closed: %s", role, name, one_line(error))


class Lazy(Mapping[str, T], Generic[T]):
    """Backends by name, in the order of the configuration. A name that is not there raises ``ConfigError``."""

    def __init__(self, what: str, names: Mapping[str, Any], make: Callable[[str], T]) -> None:
        self._what, self._names, self._make = what, names, make

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise ConfigError(f"{self._what}: nothing is called {name!r} - {nearest(name, self._names)}")
        return self._make(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def get(self, name: str, default: Any = None) -> Any:
        """The backend, or ``default`` where there is none of that name."""
        return self[name] if name in self._names else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<{self._what}: {', '.join(self._names) or 'none'}>"
