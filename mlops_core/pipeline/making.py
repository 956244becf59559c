"""A stage of a function, a class or an object that Python code gave, with its options structured as strictly as the configuration's."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mlops_core.exceptions import PipelineError
from mlops_core.plugins import GROUPS, check_class, stage_class
from mlops_core.plugins.function_stage import with_run_options
from mlops_core.roles import Stage
from mlops_core.structure import Misfit, Structurer, key_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["make_stage"]


def make_stage(implementation: Any, options: Mapping[str, Any], root: Path, where: str) -> Stage:
    """Build the stage.

    Raises:
        PluginError: It is no stage and no function, or breaks the contract of the role.
        PipelineError: An option is unknown, missing or of the wrong type.
    """
    if isinstance(implementation, Stage):
        if options:
            raise PipelineError(f"{where}: it is built already, so it takes no options ({', '.join(options)}) - give its class instead")
        return implementation
    if inspect.isclass(implementation):
        cls = check_class(implementation, GROUPS["stage"], where)
        cls = with_run_options(cls, where)  # type: ignore[arg-type]  # the check above saw that it is a Stage
    elif callable(implementation):
        cls = stage_class(implementation, where)
    else:
        raise PipelineError(f"{where}: a {type(implementation).__name__} is no stage - give a function, or a class derived from Stage")
    try:
        return Structurer(root).fit(dict(options), cls)
    except Misfit as misfit:
        said = "; ".join(f"{key_text(one.path)}: {one.message}" if one.path else one.message for one in misfit.problems)
        raise PipelineError(f"{where}: {said}") from misfit
