"""Sinks that others come to and fetch from."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_core.roles import MonitorSink

__all__ = ["listen"]

_log = logging.getLogger(__name__)


def listen(sinks: Mapping[str, MonitorSink]) -> None:
    """Let every sink that can listen do so in this process, until it is closed; one that fails or is broken is logged and stops nothing."""
    for name in sinks:
        try:
            sink = sinks[name]
            if "listen" in sink.capabilities:
                sink.listen()
        except Exception as error:  # noqa: BLE001  whatever a sink raises: serving does not depend on it
            _log.error("sink %s: does not listen: %s: %s", name, type(error).__name__, error)
