"""Keep open files from crossing a fork."""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field

__all__ = ["ForkGuard"]


@define(eq=False)
class ForkGuard:
    """A fork waits until no other thread is inside ``using``, calls ``leave``, and keeps threads out until it is done.

    SQLite keeps what it knows of its locks per process, and a fork copies that knowledge but not the locks: a child that opens a file which
    its parent had open at that moment loses writes, or waits for ever, even on a connection of its own.
    """

    leave: Callable[[], None]
    _inside: Counter[int] = field(factory=Counter, init=False, repr=False)  # by thread
    _forks: int = field(default=0, init=False)
    _watching: bool = field(default=False, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)

    @contextmanager
    def using(self) -> Iterator[None]:
        """No fork by another thread happens inside; may be entered again by its own thread."""
        thread = threading.get_ident()
        with self._changed:
            self._watch()
            self._changed.wait_for(lambda: not self._forks or thread in self._inside)
            self._inside[thread] += 1
        try:
            yield
        finally:
            self._leave(thread)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """As ``using``, but no other thread is inside: it waits for those who are, and keeps out those who come."""
        thread = threading.get_ident()
        try:
            with self._changed:
                self._forks += 1
                self._changed.wait_for(lambda: not self._inside.keys() - {thread})
                self._inside[thread] += 1
            try:
                yield
            finally:
                self._leave(thread)
        finally:
            self._in_parent()

    def _leave(self, thread: int) -> None:
        with self._changed:
            self._inside[thread] -= 1
            if not self._inside[thread]:
                del self._inside[thread]
            self._changed.notify_all()

    def _watch(self) -> None:
        if not self._watching and hasattr(os, "register_at_fork"):
            self._watching = True
            before, parent, child = (_weakly(hook) for hook in (self._before, self._in_parent, self._in_child))
            os.register_at_fork(before=before, after_in_parent=parent, after_in_child=child)

    def _before(self) -> None:
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: not self._inside.keys() - {threading.get_ident()})
        self.leave()

    def _in_parent(self) -> None:
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def _in_child(self) -> None:
        self._changed = threading.Condition()  # a thread that is not here may have held it
        self._forks = 0


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Hooks of a fork cannot be removed, so they must keep nothing alive."""
    held = weakref.WeakMethod(method)

    def call() -> None:
        if (living := held()) is not None:
            living()

    return call
