"""Which registry a place of artifacts belongs to: what one registry does not know, its sweep removes, and so two must not share a place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from attrs import define, field

from mlops_core.exceptions import VersioningError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MARKER", "Marked", "Owner"]

MARKER: Final = ".registry"
"""The file or object that names the registry."""


class Marked(Protocol):
    """A place that can be marked."""

    def marker(self) -> str | None:
        """What it is marked with, if it is."""

    def mark(self, text: str) -> None:
        """Mark it, unless it is marked."""


@define(eq=False)
class Owner:
    """Marks ``place``, which messages call ``where``, with its registry, and keeps others out. Looks once in a process."""

    where: str
    place: Marked
    _known: bool = field(default=False, init=False)

    def check(self, identity: Callable[[], str], *, claim: bool) -> None:
        """See that the place is this registry's; ``claim``: make it so where it is nobody's.

        Raises:
            VersioningError: It is another's.
        """
        if self._known:
            return
        found = self.place.marker()
        if found is None and not claim:
            return
        mine = identity()
        if found is None:
            self.place.mark(mine)
            found = self.place.marker()
        if found != mine:
            raise VersioningError(
                f"{self.where}: these artifacts are another registry's - give a folder or prefix of its own; if that registry is gone, "
                f"delete {MARKER} there"
            )
        self._known = True
