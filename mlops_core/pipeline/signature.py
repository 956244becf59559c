"""What a stage takes: positional parameters of ``run`` after the context are inputs by name."""

from __future__ import annotations

import inspect
from inspect import Parameter
from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import PipelineError

if TYPE_CHECKING:
    from mlops_core.roles import Stage

__all__ = ["inputs_of"]

_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def inputs_of(stage: Stage) -> dict[str, bool]:
    """The inputs of ``stage.run`` in order, each with whether it must be given.

    Raises:
        PipelineError: ``run`` takes no context, or an input or option that cannot be passed by name.
    """
    where = f"{type(stage).__name__}.run"
    parameters = list(inspect.signature(stage.run).parameters.values())
    if not parameters or parameters[0].kind not in _POSITIONAL:
        raise PipelineError(f"{where}: takes no context - write run(self, context, data)")
    inputs = {}
    for one in parameters[1:]:
        required = one.default is Parameter.empty
        if one.kind is Parameter.POSITIONAL_OR_KEYWORD:
            inputs[one.name] = required
        elif one.kind is not Parameter.KEYWORD_ONLY or required:
            raise PipelineError(f"{where}: {one} cannot be passed by name - name each input, and make each option a field of the class")
    return inputs
