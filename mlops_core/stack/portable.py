"""What of a stack crosses to another process: names and unresolved text, never an object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import ConfigError
from mlops_core.records import StackRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_core.stack.stack import Stack

__all__ = ["DOCUMENTS", "SETTINGS", "ref_of"]

DOCUMENTS: Final = "documents"
SETTINGS: Final = "settings"


def ref_of(stack: Stack, pipeline: str) -> StackRef:
    """What another process needs; raises ``ConfigError`` naming a part that cannot be composed there."""
    part = stack.parts.unportable()
    if part is not None:
        raise ConfigError(
            f"stack: another process cannot compose {part} - use the executor 'inline' and in-process deployers, or a backend with a store"
        )
    return StackRef(str(stack.root), stack.tenant, stack.profile, _config(stack), pipeline)


def _config(stack: Stack) -> Mapping[str, Any]:
    if stack.origin is not None and stack.origin.documents:
        return {DOCUMENTS: [list(document) for document in stack.origin.documents]}
    try:
        config = {SETTINGS: stack.settings.to_dict()}
        json.dumps(config)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"stack: the settings hold an object that cannot be written down for another process: {error}") from error
    return config
