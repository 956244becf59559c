"""What is held together while the process forks."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["guard_fork"]


def guard_fork(before: Callable[[], None], in_parent: Callable[[], None], in_child: Callable[[], None]) -> None:
    """Call these methods around every fork, as long as their objects live: hooks cannot be removed, so they keep nothing alive."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_weakly(before), after_in_parent=_weakly(in_parent), after_in_child=_weakly(in_child))


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    held = weakref.WeakMethod(method)

    def call() -> None:
        if (living := held()) is not None:
            living()

    return call
