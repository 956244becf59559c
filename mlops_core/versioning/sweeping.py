"""Removing what crashes left in a registry store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import VersioningError

if TYPE_CHECKING:
    from mlops_core.records import Leftover
    from mlops_core.roles import RegistryStore

__all__ = ["GRACE", "sweep"]

GRACE: Final = timedelta(days=1)


def sweep(store: RegistryStore, grace: timedelta = GRACE, *, tenant: str | None = None, dry_run: bool = False) -> tuple[Leftover, ...]:
    """Remove what nothing has used for ``grace``: of one tenant, or (None) of all, with what cannot be told to be anybody's.

    Returns:
        What was removed, or would be.

    Raises:
        VersioningError: ``grace`` is no duration.
    """
    given: Any = grace
    if not isinstance(given, timedelta) or given < timedelta(0):
        raise VersioningError("sweep: grace is not a duration - give a timedelta of zero or more")
    found = [one for one in store.leftovers(grace) if tenant in {None, one.tenant}]
    return tuple(one for one in found if dry_run or store.discard(one))
