"""Plugins: found by name in the metadata of what is installed, loaded by name, checked before use."""

from __future__ import annotations

from mlops_core.plugins.catalogue import Catalogue, Installed
from mlops_core.plugins.contract import check_class, option_fields
from mlops_core.plugins.function_stage import stage_class
from mlops_core.plugins.groups import GROUPS, RESERVED
from mlops_core.plugins.inline import is_inline
from mlops_core.plugins.loader import Loaded, Loader

__all__ = [
    "GROUPS",
    "RESERVED",
    "Catalogue",
    "Installed",
    "Loaded",
    "Loader",
    "check_class",
    "is_inline",
    "option_fields",
    "stage_class",
]
