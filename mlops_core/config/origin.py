"""Where settings come from: the text of their files, and the place of every key in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from mlops_core.structure import Misfit, Problem, key_text

__all__ = ["Origin"]

_LAST: Final = re.compile(r"(\.[^.\[]+|\[\d+\]|^[^.\[]+)$")
_PLACE: Final = re.compile(r"(.*?):(\d+):(\d+): ", re.DOTALL)


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
        return self.ordered(f"{place}: {text}" if place else text for place, text in found)

    def ordered(self, lines: Iterable[str]) -> list[str]:
        """Lines in the order of the files; those that name no place stay first. Equal lines are one."""
        names = [name for name, _ in self.documents]
        return sorted(dict.fromkeys(lines), key=lambda line: _order(line, names))

    def _line(self, problem: Problem, key: str, at: str) -> tuple[str, str]:
        full = key_text((*((key,) if key else ()), *problem.path))
        shown = key_text((*((key,) if key else ()), *problem.path[:-1])) if problem.on_key else full
        return self.place(full, on_key=problem.on_key) or at, f"{shown}: {problem.message}" if shown else problem.message


def _order(line: str, names: Sequence[str]) -> tuple[int, int, int]:
    found = _PLACE.match(line)
    if found is None:
        return (-1, 0, 0)
    return (names.index(found[1]) if found[1] in names else len(names), int(found[2]), int(found[3]))
