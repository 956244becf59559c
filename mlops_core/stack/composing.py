"""Settings to a stack. Nothing is opened: no file, thread, port or connection before first use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_core.clock import SystemClock
from mlops_core.names import check_name
from mlops_core.stack.stack import Stack

if TYPE_CHECKING:
    import os

    from mlops_core.config.origin import Origin
    from mlops_core.config.settings import Settings
    from mlops_core.roles import Clock

__all__ = ["compose"]


def compose(
    settings: Settings,
    root: str | os.PathLike[str],
    *,
    profile: str | None = None,
    tenant: str | None = None,
    clock: Clock | None = None,
    origin: Origin | None = None,
) -> Stack:
    """A stack whose backends are loaded and built at their first use, each once.

    Args:
        settings: What to compose.
        root: The project's folder: relative paths, inline plugins and ``.mlops`` are found there. Made absolute now.
        profile: The overlay that the settings were read with, for other processes.
        tenant: Instead of the settings' tenant.
        clock: Instead of the machine's.
        origin: The text behind the settings, for errors and other processes.

    Raises:
        NameRuleError: The tenant breaks the name rule.
    """
    from mlops_core.stack.composed import ComposedParts

    place = Path(root).absolute()
    return Stack(
        root=place,
        tenant=check_name(settings.tenant if tenant is None else tenant, "tenant"),
        parts=ComposedParts(settings, place, origin),
        settings=settings,
        profile=profile,
        clock=clock or SystemClock(),
        origin=origin,
    )
