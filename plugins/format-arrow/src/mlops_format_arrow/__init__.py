"""Tables as Parquet or Arrow files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import Format

__all__ = ["mlops_format"]


@hookimpl
def mlops_format(name: str) -> type[Format]:
    """Hand over the class of ``parquet`` or ``arrow``."""
    from mlops_format_arrow.formats import ArrowFormat, ParquetFormat

    return ParquetFormat if name == "parquet" else ArrowFormat
