"""Named arrays as safetensors files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import Format

__all__ = ["mlops_format"]


@hookimpl
def mlops_format() -> type[Format]:
    """Hand over the class."""
    from mlops_format_safetensors.safetensors_format import SafetensorsFormat

    return SafetensorsFormat
