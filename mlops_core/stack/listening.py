"""Observers: told of every event one at a time, and asked as gates."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from mlops_core.config.settings import Use
from mlops_core.records import GateDecision
from mlops_core.stack.assembly import Assembly
from mlops_core.stack.built import Shelf
from mlops_core.structure import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.records import GateRequest, Record
    from mlops_core.roles import Backend

__all__ = ["Listeners"]

_LOG: Final = logging.getLogger(__name__)
_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")


@define(eq=False)
class Listeners:
    """The observers of one stack. The first event builds and registers them; a broken one is an error then, before anything happened."""

    assembly: Assembly
    shelf: Shelf
    uses: Mapping[str, Use]
    _registered: bool = field(default=False, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    def emit(self, event: Record) -> None:
        """Call the event's hook on each observer in the configuration's order; what one raises is logged with its name.

        Raises:
            PluginError: An observer cannot be composed.
        """
        hook = _WORD.sub("_", type(event).__name__).lower()
        for name, call in self._calls(hook).items():
            try:
                call(event)
            except (Exception, SystemExit) as error:  # noqa: BLE001  an observer stops nobody
                _LOG.exception("observer %s: its %s raised %s", name, hook, one_line(error))

    def gate(self, request: GateRequest) -> GateDecision:
        """The first veto, else leave. A gate that raises or exits, or answers anything but a decision or None, vetoes.

        Raises:
            PluginError: An observer cannot be composed.
        """
        for name, call in self._calls("deployment_gate").items():
            try:
                answer = call(request)
            except (Exception, SystemExit) as error:  # noqa: BLE001  the gate fails closed
                _LOG.exception("observer %s: its deployment_gate raised", name)
                return GateDecision(allow=False, reason=f"gate {name} raised {one_line(error)}")
            if answer is None:
                continue
            if not isinstance(answer, GateDecision):
                return GateDecision(allow=False, reason=f"gate {name} answered {type(answer).__name__} instead of a GateDecision")
            if answer.allow is not True:
                return GateDecision(allow=False, reason=answer.reason or f"gate {name} gave no reason")
        return GateDecision(allow=True)

    def prepare(self) -> None:
        """Build and register the observers, once.

        Raises:
            PluginError: An observer cannot be composed.
        """
        with self._lock:
            if not self._registered:
                self._register()
                self._registered = True

    def _calls(self, hook: str) -> Mapping[str, Any]:
        """The observers' implementations; pluggy allows them to leave the argument out."""
        if not self.uses:
            return {}
        self.prepare()
        found = self.assembly.loader.listeners(hook)
        return {name: one.function if one.argnames else _without_argument(one.function) for name, one in found.items()}

    def _register(self) -> None:
        """Build all, then register the last first, since pluggy calls the last registered first."""
        built = [(name, self._observer(name, use)) for name, use in self.uses.items()]
        for name, observer in reversed(built):
            self.assembly.observe(name, self.uses[name], observer)

    def _observer(self, name: str, use: Use) -> Any:
        def make() -> Backend:
            return self.assembly.build("observer", use)

        return self.shelf.get("observer", name, make)


def _without_argument(function: Callable[[], Any]) -> Callable[[Any], Any]:
    return lambda _: function()
