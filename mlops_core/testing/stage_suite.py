"""What every stage must do: derive from ``StageSuite`` in a test, give the stage and its inputs, and pytest runs the rest."""

from __future__ import annotations

import copy
import inspect
import pickle
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from mlops_core.roles import Stage
from mlops_core.testing.stage_context import RecordingContext

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StageSuite"]

_RESERVED: Final = {"use", "name", "inputs", "outputs", "retries", "timeout", "when", "on_failure", "cache", "executor"}
_NAMED: Final = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


class StageSuite:
    """Conformance of one stage. Override ``stage`` and ``inputs``; ``prepare`` for files that it reads."""

    @abstractmethod
    def stage(self) -> Stage:
        """A new instance with options that work."""

    @abstractmethod
    def inputs(self) -> Mapping[str, Any]:
        """Its inputs by parameter name."""

    def prepare(self, root: Path) -> None:
        """Put what the stage reads into the project's folder."""

    def fingerprint(self, value: Any) -> bytes:
        """What tells two values apart."""
        return pickle.dumps(copy.deepcopy(value))

    def test_declares_itself(self) -> None:
        """The contract stands in the class's own body; options explain themselves and leave the core's keys alone."""
        kind: Any = type(self.stage())
        assert issubclass(kind, Stage)
        assert vars(kind).get("contract") == 1
        options = [one for one in attrs.fields(kind) if one.init]
        assert [one.name for one in options if not one.metadata.get("help")] == []
        assert _RESERVED & {one.alias for one in options} == set()

    def test_names_its_inputs(self) -> None:
        """After the context come the inputs, each with a name, as the pipeline passes them."""
        _, *rest = inspect.signature(self.stage().run).parameters.values()
        assert all(one.kind in _NAMED or one.kind is inspect.Parameter.KEYWORD_ONLY for one in rest)
        required = {one.name for one in rest if one.kind in _NAMED and one.default is inspect.Parameter.empty}
        assert required <= set(self.inputs()) <= {one.name for one in rest if one.kind in _NAMED}

    def test_answers_what_it_declares(self, tmp_path: Path) -> None:
        """It runs, and answers its declared outputs by name, or one value."""
        answer = self._run(tmp_path)[0]
        declared = self.stage().outputs
        if declared:
            assert isinstance(answer, Mapping)
            assert set(answer) == set(declared)

    def test_leaves_its_inputs_alone(self, tmp_path: Path) -> None:
        """Inputs belong to the stages that made them: none is written into."""
        inputs = self.inputs()
        before = {name: self.fingerprint(value) for name, value in inputs.items()}
        self._run(tmp_path, inputs)
        assert {name: self.fingerprint(value) for name, value in inputs.items()} == before

    def test_repeats_itself(self, tmp_path: Path) -> None:
        """The same seed and inputs report the same parameters and metrics: a retry is no lottery."""
        first, again = self._run(tmp_path)[1], self._run(tmp_path)[1]
        assert (first.params, first.measured) == (again.params, again.measured)

    def _run(self, root: Path, inputs: Mapping[str, Any] | None = None) -> tuple[Any, RecordingContext]:
        self.prepare(root)
        context = RecordingContext(root=root)
        return self.stage().run(context, **(self.inputs() if inputs is None else inputs)), context
