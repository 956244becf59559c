"""The stage role: one step of a pipeline."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from mlops_core.roles.ports import StageContext

__all__ = ["Help", "Stage"]


@frozen
class Help:
    """The help of an option that is a parameter: ``def train(data, *, depth: Annotated[int, Help("levels of the tree")] = 3)``."""

    text: str


class Stage(Backend):
    """One step. Positional parameters of ``run`` after the context are inputs by name; keyword-only ones and fields are options.

    ``outputs`` names the values that ``run`` answers as a mapping; () means one value, named like the stage. ``cacheable`` is False where a
    run has an effect, or its answer depends on more than inputs, options and code: then ``cache: true`` is a mistake.
    """

    __slots__ = ()

    outputs: ClassVar[tuple[str, ...]] = ()
    cacheable: ClassVar[bool] = True

    @abstractmethod
    def run(self, context: StageContext, *inputs: Any, **options: Any) -> Any:
        """Do the work. Inputs are never written into; what is raised fails the attempt."""
