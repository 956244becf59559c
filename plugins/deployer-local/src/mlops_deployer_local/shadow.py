"""A version that is given copies of requests: what it answers goes nowhere, and nobody waits for it."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field

from mlops_core.exceptions import MLOpsError
from mlops_core.records import ModelVersion
from mlops_core.roles import Recorder
from mlops_deployer_local.bodies import Form, dump

__all__ = ["Shadow"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_MOST, _ROOM = 100, 16 << 20  # copies, and bytes of their bodies: parsed they take some ten times as much
_TURN: Final = 0.0005  # seconds; at Python's own 5 ms a shadow that computes in Python made answers take 11 ms, and so 3 to 4
_NONE: Final[Mapping[str, Any]] = {}


@define(eq=False)
class Shadow:
    """The shadow of one endpoint in a serving process. It does what is done for a client, in a thread that holds up no exit.

    At most 100 copies wait, of 16 MB of bodies together; one too many is dropped, and counted as dropped. ``run`` predicts in the calling
    thread.
    """

    version: ModelVersion
    run: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    recorder: Recorder
    _waiting: queue.Queue[tuple[Form, Any, str, int] | None] = field(factory=lambda: queue.Queue(_MOST), init=False)
    _given: int = field(default=0, init=False)  # bytes ever; of the loop, as the next is of the thread: so neither needs a lock
    _done: int = field(default=0, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    def offer(self, form: Form, request: Any, prediction: str, size: int) -> None:
        """Give it a copy of a request, whose body had ``size`` bytes. Never waits.

        ``prediction`` is the id that the client got, so that outcomes meet both.
        """
        held = self._given - self._done
        if self._closed or (held and held + size > _ROOM):  # closed: the routes changed while this request was answered
            self.recorder.drop()
            return
        if self._thread is None:
            sys.setswitchinterval(min(sys.getswitchinterval(), _TURN))
            self._thread = threading.Thread(target=self._work, name=f"shadow-{self.version.version}", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait((form, request, prediction, size))
        except queue.Full:
            self.recorder.drop()
        else:
            self._given += size

    def close(self) -> None:
        """Drop what waits, and take no more; what has begun is not waited for."""
        self._closed = True
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break
            self.recorder.drop()
        self._waiting.put_nowait(None)

    def _work(self) -> None:
        try:
            while (copy := self._waiting.get()) is not None:
                form, request, prediction, size = copy
                self._answer(form, request, prediction)
                del copy, request  # or it is held until the next comes
                self._done += size
        except MLOpsError as error:  # monitoring is closed: this process ends
            _LOG.info("shadow %s: ended: %s", self.version.version, error.message)

    def _answer(self, form: Form, request: Any, prediction: str) -> None:
        columns, begun = _NONE, time.perf_counter()
        try:
            columns = form.read(request, self.version.schema)
            outputs = self.run(columns)
            dump(form.write(request, self.version, outputs, prediction))
        except BaseException as error:  # noqa: BLE001  whatever it is, it is the shadow's failure, and the thread goes on
            self.recorder.count(time.perf_counter() - begun, False, type(error).__name__)
            self.recorder.failed(prediction, columns, type(error).__name__)
            outputs = {}
        else:
            self.recorder.count(time.perf_counter() - begun, True)
        if columns and self.recorder.wants(prediction, len(next(iter(columns.values())))):
            self.recorder.sample(prediction, columns, outputs)
