"""What is wrong with a value, and where in it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mlops_core.secrecy import mask

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Misfit", "Path", "Problem", "key_text", "nearest", "one_line"]

Path = tuple[str | int, ...]

_LISTED: Final = 12
_SHOWN: Final = 300


@frozen
class Problem:
    """One mistake. ``path`` leads to the value, ``on_key`` says that its key is what is wrong."""

    path: Path
    message: str
    on_key: bool = False


class Misfit(Exception):  # noqa: N818  not an error of the tree: whoever structures turns it into one
    """A value that does not fit its type, with every problem in it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems

    @classmethod
    def of(cls, message: str) -> Misfit:
        """One problem with the value itself."""
        return cls(Problem((), message))

    def below(self, *path: str | int) -> tuple[Problem, ...]:
        """The problems as seen from further up."""
        return tuple(Problem((*path, *problem.path), problem.message, problem.on_key) for problem in self.problems)


def key_text(path: Path) -> str:
    """A path as a person writes it: ``pipeline.stages.training``, ``tracker[1].mode``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(name: object, known: Iterable[str], listing: str = "there are") -> str:
    """A name that was probably meant, else what there is: the remedy of a message."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(str(name)[:_SHOWN], names, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"{listing}: {', '.join(names[:_LISTED]) or 'none'}{', ...' if len(names) > _LISTED else ''}"


def one_line(error: BaseException) -> str:
    """An exception as ``Type: message`` in one short line that shows no secret."""
    text = " ".join(mask(str(error)).split())
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
