"""Which earlier value each input of a stage takes: by the name of an output or of a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from mlops_core.exceptions import PipelineError
from mlops_core.records import Record
from mlops_core.structure import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GIVEN", "Source", "Wiring"]

GIVEN: Final = ""


@frozen
class Source(Record):
    """An output of a stage; ``GIVEN`` in place of the stage: a value that the run was given."""

    stage: str
    output: str


@define
class Wiring:
    """What is there so far. ``given`` are the names of the values that the run was given."""

    given: frozenset[str] = frozenset()
    _earlier: dict[str, tuple[str, ...]] = field(factory=dict, init=False)

    def add(self, stage: str, outputs: tuple[str, ...]) -> None:
        """A stage that later ones may take from."""
        self._earlier[stage] = outputs

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages added so far."""
        return tuple(self._earlier)

    def connect(
        self, stage: str, inputs: Mapping[str, bool], renamed: Mapping[str, str], usual: Mapping[str, str] | None = None
    ) -> dict[str, Source]:
        """Sources of a stage's inputs (name to whether it is required); an optional one that is nowhere is left out.

        ``usual`` says where an input comes from that is nowhere under its own name, as the model does from the stage ``training``.

        Raises:
            PipelineError: An input is missing or ambiguous, or ``inputs`` renames one that the stage does not have.
        """
        for name in renamed:
            if name not in inputs:
                raise PipelineError(f"stage {stage!r}: inputs: it takes no {name!r} - {nearest(name, inputs, 'it takes')}")
        found = {name: self._find(stage, name, renamed.get(name)) for name in inputs}
        for name, other in (usual or {}).items():
            if found.get(name) is None and name in inputs and name not in renamed:
                found[name] = self._find(stage, name, other)
        for name, source in found.items():
            if source is None and (inputs[name] or name in renamed):
                wanted = renamed.get(name, name)
                said = f"input {name!r}" if wanted == name else f"input {name!r} from {wanted!r}"
                raise PipelineError(f"stage {stage!r}: nothing before it gives its {said} - {self._remedy(name, wanted)}")
        return {name: source for name, source in found.items() if source is not None}

    def _find(self, stage: str, name: str, renamed: str | None) -> Source | None:
        wanted = renamed or name
        if wanted in self.given:
            return Source(GIVEN, wanted)
        found = {Source(owner, wanted) for owner, outputs in self._earlier.items() if wanted in outputs}
        outputs = self._earlier.get(wanted, ())
        if len(outputs) == 1:
            found.add(Source(wanted, outputs[0]))
        elif not found and len(outputs) > 1:
            raise PipelineError(
                f"stage {stage!r}: input {name!r}: stage {wanted!r} gives {', '.join(outputs)} - say which: "
                f"inputs: {{{name}: {wanted}.{outputs[0]}}}"
            )
        owner, dot, output = wanted.rpartition(".")
        if dot and output in self._earlier.get(owner, ()):
            found.add(Source(owner, output))
        if len(found) > 1:
            ways = sorted(f"{source.stage}.{source.output}" for source in found)
            raise PipelineError(
                f"stage {stage!r}: input {name!r} is ambiguous: {' and '.join(ways)} - say which: inputs: {{{name}: {ways[-1]}}}"
            )
        return next(iter(found), None)

    def _remedy(self, name: str, wanted: str) -> str:
        said = nearest(wanted, self._names())
        return said if said.startswith("did") else f"{said} - say which with inputs: {{{name}: NAME}}"

    def _names(self) -> list[str]:
        outputs = [output for outputs in self._earlier.values() for output in outputs]
        return sorted({*self.given, *self._earlier, *outputs})
