"""Tests of a stream, one value at a time: ADWIN, Page-Hinkley, DDM."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final, cast

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import StreamTest

__all__ = ["mlops_drift_test"]

_HOMES: Final = {"adwin": "adwin:AdaptiveWindow", "ddm": "ddm:ErrorRate", "page_hinkley": "page_hinkley:PageHinkley"}


@hookimpl
def mlops_drift_test(name: str) -> type[StreamTest]:
    """Hand over the class of ``adwin``, ``page_hinkley`` or ``ddm``."""
    module, _, kind = _HOMES[name].partition(":")
    return cast("type[StreamTest]", getattr(importlib.import_module(f"{__name__}.{module}"), kind))
