"""The composed backends of one project and tenant: what every facade stands on."""

from __future__ import annotations

from mlops_core.stack.composing import compose
from mlops_core.stack.locating import locate
from mlops_core.stack.parts import Parts
from mlops_core.stack.recomposing import from_ref
from mlops_core.stack.stack import Stack

__all__ = ["Parts", "Stack", "compose", "from_ref", "locate"]
