"""What every role shares."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Backend"]


class Backend(ABC):
    """A plugin's class: an attrs class whose fields are its options.

    Constructing one does no I/O: no file, thread, port or connection before the first use. ``contract`` is the version of the role that
    the class was written for and stands in its own body. ``capabilities`` are the optional parts of the role it offers.
    """

    __slots__ = ()

    contract: ClassVar[int]
    capabilities: ClassVar[frozenset[str]] = frozenset()

    def check(self) -> None:  # noqa: B027  a backend with nothing to reach needs no override
        """Reach the backend; raises ``MLOpsError`` with the cause and the remedy."""

    def migrate(self, *, dry_run: bool) -> Sequence[str]:
        """Bring stored data of an earlier release to this one; answers one line per step taken (or to be taken)."""
        del dry_run
        return ()

    def close(self) -> None:  # noqa: B027  a backend with nothing open needs no override
        """Release handles. Idempotent, and without effect in a forked child that did not open them."""
