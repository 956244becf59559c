"""What is installed, read from the metadata of distributions: nothing is imported."""

from __future__ import annotations

import logging
import re
from importlib import metadata
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from mlops_core.exceptions import PluginError, PluginNotFoundError
from mlops_core.plugins.groups import FIRST_PARTY, GROUPS, group_of
from mlops_core.records import Record
from mlops_core.structure import nearest
from mlops_core.structure.problems import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Catalogue", "Installed"]

_LOG: Final = logging.getLogger(__name__)
_NAMED: Final = re.compile(r"^(Name|Version):[ \t]*(.*?)[ \t]*$", re.MULTILINE)


@frozen
class Installed(Record):
    """One entry point. ``target`` is the object it names, ``module`` or ``module:object``."""

    role: str
    name: str
    target: str
    distribution: str
    version: str

    @property
    def plugin(self) -> str:
        """``drift.ks``, as prose and the command line write it."""
        return f"{self.role}.{self.name}"

    @property
    def source(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}".strip()


@define(eq=False)
class Catalogue:
    """The entry points of the ten groups, scanned once at the first use."""

    _found: tuple[Installed, ...] | None = field(default=None, init=False)

    def __iter__(self) -> Iterator[Installed]:
        return iter(self._scan())

    def names(self, role: str) -> tuple[str, ...]:
        """Names installed for a role, sorted."""
        group_of(role)
        return tuple(sorted({one.name for one in self._scan() if one.role == role}))

    def find(self, role: str, name: str) -> Installed:
        """The one distribution that offers this name.

        Raises:
            PluginNotFoundError: None does; with the command that installs it, or the nearest name.
            PluginError: Several do.
        """
        group_of(role)
        found = [one for one in self._scan() if (one.role, one.name) == (role, name)]
        if not found:
            raise PluginNotFoundError(f"{role}.{name}: {self._remedy(role, name)}")
        if len(found) > 1:
            claims = " and ".join(f"{one.source} ({one.target})" for one in found)
            raise PluginError(f"{role}.{name}: {claims} both claim this name - uninstall one of them")
        return found[0]

    def _remedy(self, role: str, name: str) -> str:
        distribution = FIRST_PARTY.get(f"{role}.{name}")
        if distribution is not None:
            return f"its plugin is not installed - run: pip install {distribution}"
        known = {*self.names(role), *(plugin.partition(".")[2] for plugin in FIRST_PARTY if plugin.startswith(f"{role}."))}
        return f"no installed distribution offers this plugin - {nearest(name, sorted(known), 'known are')}"

    def _scan(self) -> tuple[Installed, ...]:
        if self._found is None:
            found = sorted(set(_scanned()), key=lambda one: (one.role, one.name, one.distribution))
            self._found = tuple(found)
        return self._found


def _scanned() -> Iterator[Installed]:
    """Of a distribution that is on the path twice, the first counts: it is the one that Python imports."""
    roles = {group.entry_points: role for role, group in GROUPS.items()}
    seen: set[str] = set()
    for distribution in metadata.distributions():
        try:
            described = _described(distribution)
            name, version = described.get("Name", ""), described.get("Version", "?")
            plain = re.sub(r"[-_.]+", "-", name).lower()
            points = () if plain in seen else tuple(distribution.entry_points)
        except Exception as error:  # noqa: BLE001  the metadata of a stranger must not stop every program
            _LOG.warning("plugins: the metadata of a distribution cannot be read: %s", one_line(error))
            continue
        seen.add(plain)
        yield from (Installed(roles[one.group], one.name, one.value, name or "?", version) for one in points if one.group in roles)


def _described(distribution: metadata.Distribution) -> dict[str, str]:
    """Name and version: ``distribution.metadata`` parses its whole description too, of every distribution at every start."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or distribution.read_text("") or ""
    return dict(_NAMED.findall(text.partition("\n\n")[0]))
