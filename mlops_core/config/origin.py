"""Where settings come from: the text of their files, and the place of every key in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import field, frozen

from mlops_core.structure import Misfit, Problem, key_text

__all__ = ["Origin"]

_LAST: Final = re.compile(r"(\.[^.\[]+|\[\d+\]|^[^.\[]+)$")
_PLACE: Final = re.compile(r"(.*):(\d+):(\d+)")


@frozen
class Origin:
    """``documents`` are (name, text), the overlay last. ``places`` maps a key path to ``file:line:column`` of its key and its value."""

    documents: tuple[tuple[str, str], ...] = ()
    places: Mapping[str, tuple[str, str]] = field(factory=dict, repr=False)

    def place(self, key: str, *, on_key: bool = False) -> str:
        """Where a key path stands, else the nearest one above it; empty if nothing is known."""
        while key:
            if key in self.places:
                return self.places[key][0 if on_key else 1]
            key, on_key = _LAST.sub("", key), False
        return self.places[""][1] if "" in self.places else ""

    def lines(self, misfit: Misfit, key: str = "", at: str = "") -> list[str]:
        """One line per problem, ``file:line:column: key: message``, in the order of the file. ``at`` stands in where no place is known."""
        found = [self._line(problem, key, at) for problem in misfit.problems]
        names = [name for name, _ in self.documents]
        return [f"{place}: {text}" if place else text for place, text in sorted(found, key=lambda one: _order(one[0], names))]

    def _line(self, problem: Problem, key: str, at: str) -> tuple[str, str]:
        full = key_text((*((key,) if key else ()), *problem.path))
        shown = key_text((*((key,) if key else ()), *problem.path[:-1])) if problem.on_key else full
        return self.place(full, on_key=problem.on_key) or at, f"{shown}: {problem.message}" if shown else problem.message


def _order(place: str, names: Iterable[str]) -> tuple[int, int, int]:
    found = _PLACE.fullmatch(place)
    if found is None:
        return (0, 0, 0)
    known = list(names)
    return (known.index(found[1]) if found[1] in known else len(known), int(found[2]), int(found[3]))
