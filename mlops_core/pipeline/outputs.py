"""What a stage answers, as values by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_core.exceptions import PipelineError, StageError
from mlops_core.names import check_name

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["output_names", "split_outputs"]


def output_names(stage: str, declared: Sequence[str], renamed: Sequence[str]) -> tuple[str, ...]:
    """Names of a stage's outputs: those it declares, renamed by ``outputs`` in their order; with neither, its own name.

    Raises:
        PipelineError: The numbers differ, or a name breaks the rule or is there twice.
    """
    if declared and renamed and len(declared) != len(renamed):
        raise PipelineError(
            f"stage {stage!r}: outputs: {len(renamed)} names for the {len(declared)} outputs {', '.join(declared)} - name each in order"
        )
    names = tuple(check_name(name, f"stage {stage!r}: output", PipelineError) for name in (renamed or declared or (stage,)))
    if len(set(names)) < len(names):
        raise PipelineError(f"stage {stage!r}: outputs: a name is there twice in {', '.join(names)}")
    return names


def split_outputs(value: Any, declared: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """A stage's answer by output name. A stage that declares no output and answers None gives nothing.

    Raises:
        StageError: The answer is not what was declared.
    """
    if not declared and len(names) == 1:
        return {} if value is None else {names[0]: value}
    if isinstance(value, Mapping):
        keys = declared or names
        if set(value) != set(keys):
            raise StageError(f"it answered {_listed(value)} where its outputs are {_listed(keys)}")
        return {name: value[key] for name, key in zip(names, keys, strict=True)}
    if declared or not isinstance(value, tuple) or len(value) != len(names):
        count = f" of {len(value)}" if isinstance(value, tuple) else ""
        raise StageError(
            f"it answered one value of type {type(value).__name__}{count} - answer a mapping with {_listed(declared or names)}"
        )
    return dict(zip(names, value, strict=True))


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names)) or "nothing"
