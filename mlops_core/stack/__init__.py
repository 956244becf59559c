"""The composed backends of one project and tenant: what every facade stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.stack.composing import compose
from mlops_core.stack.locating import locate, release, stack_for
from mlops_core.stack.parts import Parts
from mlops_core.stack.recomposing import from_ref
from mlops_core.stack.stack import Stack

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from mlops_core.roles import Deployer

__all__ = ["Parts", "Stack", "check", "compose", "from_ref", "locate", "release", "stack_for"]


def check(
    path: str | os.PathLike[str] | None = None,
    profile: str | None = None,
    *,
    connect: bool = False,
    further: Callable[[Stack], Iterable[str]] | None = None,
    attach: Callable[[Stack, str, Deployer], object] | None = None,
) -> list[str]:
    """Every mistake of a configuration, one line each: see ``mlops_core.stack.checking.check``, which this loads at the first call."""
    from mlops_core.stack import checking

    return checking.check(path, profile, connect=connect, further=further, attach=attach)
