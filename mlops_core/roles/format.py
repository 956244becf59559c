"""The format role: a value to a file and back."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from mlops_core.exceptions import CapabilityError
from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.records import Schema
    from mlops_core.roles.ports import Predictor

__all__ = ["Format"]


class Format(Backend):
    """Writes and reads one kind of value, as a file or a directory.

    ``runs_code``: reading executes what the file says, so the core asks ``models.trust`` first. Capability ``predict``: ``predictor``
    answers.
    """

    __slots__ = ()

    name: ClassVar[str]
    runs_code: ClassVar[bool] = False

    @abstractmethod
    def accepts(self, value: Any) -> bool:
        """Whether ``write`` can hold the value without loss; must not import a library that the value does not come from."""

    @abstractmethod
    def sniff(self, path: Path) -> bool:
        """Whether the content is of this format, by a bounded read that executes nothing."""

    @abstractmethod
    def write(self, value: Any, path: Path) -> None:
        """Write the value at ``path``, which does not exist yet."""

    @abstractmethod
    def read(self, path: Path) -> Any:
        """The value; raises ``ArtifactError`` for what is not of this format."""

    def predictor(self, value: Any, schema: Schema | None) -> Predictor:
        """A predictor over a value that ``read`` answered."""
        raise CapabilityError(f"format {self.name}: cannot predict - deploy a model in a format that can, such as skops")
