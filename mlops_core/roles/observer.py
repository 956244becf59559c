"""The observer role: a plugin that listens to lifecycle events or guards deployments."""

from __future__ import annotations

from mlops_core.roles.backend import Backend

__all__ = ["Observer"]


class Observer(Backend):
    """Implements any of the lifecycle hooks of ``mlops_core.hookspecs`` as methods marked with ``@hookimpl``.

    What an event hook raises is logged with the observer's name and stops nobody; a ``deployment_gate`` that raises vetoes.
    """

    __slots__ = ()
