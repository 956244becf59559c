"""One stream of values, watched by one test."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import fields

from mlops_core.drift.archive import read_archive, write_archive
from mlops_core.drift.guard import cause_of
from mlops_core.drift.selection import choose_stream_test, locate_stack
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from mlops_core.roles import StreamTest
    from mlops_core.stack import Stack

__all__ = ["Watch"]

_STATE: Final = "state."


class Watch:
    """Watches a stream, such as the errors of a model, one value at a time, and can be stored and go on later. Thread-safe.

    ``DriftDetector.watch`` starts one. What a value may be, how soon a change is found and how rare false alarms are says the test.

    Attributes:
        test: Its name.
        seen: How many values it was given.
        signals: How many of them were signals.
    """

    def __init__(self, name: str, test: StreamTest, state: Any = None, *, seen: int = 0, signals: int = 0) -> None:
        self.test, self.seen, self.signals = name, seen, signals
        self._test, self._lock = test, Lock()
        self._state = test.start() if state is None else state

    def __repr__(self) -> str:
        return f"Watch(test={self.test!r}, seen={self.seen}, signals={self.signals})"

    def update(self, value: Any) -> bool:
        """Take the next value; whether it signals a change.

        Raises:
            DriftDetectionError: The test does not take such a value, which then counts as not given.
        """
        with self._lock:
            signal = self._step(value)
            self.seen += 1
            self.signals += signal
            return signal

    def update_many(self, values: Iterable[Any]) -> list[int]:
        """Take the next values; the positions among them that signal a change.

        Raises:
            DriftDetectionError: The test does not take one of them; then all count as not given.
        """
        try:
            stream = iter(values)
        except TypeError as error:
            raise DriftDetectionError(f"drift: watch: {values!r:.40} is no list of values - give one, or one value to update") from error
        with self._lock:
            before, found, taken = self._test.dump(self._state), [], 0
            try:
                for value in stream:
                    if self._step(value):
                        found.append(taken)
                    taken += 1
            except BaseException:
                self._state = self._test.load(before)
                raise
            self.seen += taken
            self.signals += len(found)
            return found

    def _step(self, value: Any) -> bool:
        try:
            self._state, signal = self._test.update(self._state, value)
        except DriftDetectionError:
            raise
        except Exception as error:
            told = f"drift: test {self.test!r} failed: {cause_of(error)} - leave the value out, or take another test"
            raise DriftDetectionError(told) from error
        return bool(signal)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to one file, without pickle; an existing file is replaced at once or not at all.

        Raises:
            DriftDetectionError: It cannot be written.
        """
        with self._lock:
            manifest = {"test": self.test, "options": _options(self._test), "seen": self.seen, "signals": self.signals}
            arrays = {f"{_STATE}{name}": array for name, array in self._test.dump(self._state).items()}
        write_archive(path, manifest, arrays, what="watch")

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, stack: Stack | None = None) -> Self:
        """Read what ``save`` wrote; it goes on as the one that was saved would have.

        Args:
            path: The file.
            stack: Where the test is found by its name; None: that of the project.

        Raises:
            DriftDetectionError: It cannot be read, is damaged or of a newer release, or its test is not there or has other options now.
        """
        manifest, arrays = read_archive(path, what="watch")
        test = choose_stream_test(locate_stack(None, stack), manifest.get("test", ""))
        where, options = f"drift: watch {Path(path).name}", _options(test)
        if manifest.get("options") != options:
            told = f"test {manifest['test']!r} has the options {options} now - configure it as it was, or start a new watch"
            raise DriftDetectionError(f"{where}: it was saved with {manifest.get('options')}, {told}")
        try:
            state = test.load({key.removeprefix(_STATE): array for key, array in arrays.items()})
            return cls(manifest["test"], test, state, seen=int(manifest["seen"]), signals=int(manifest["signals"]))
        except Exception as error:  # a stranger's test may raise anything on arrays that are not its own
            raise DriftDetectionError(f"{where}: cannot be read: {cause_of(error)} - give a file that Watch.save wrote") from error


def _options(test: StreamTest) -> dict[str, str]:
    kind: Any = type(test)
    return {one.name: repr(getattr(test, one.name)) for one in fields(kind) if one.init}
