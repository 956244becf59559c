"""Plain values to typed ones, strictly: no number is rounded, no word becomes a truth value, every mistake is named with its place."""

from __future__ import annotations

from mlops_core.structure.annotations import SHARE, Check, expected, field_type, key_of, type_text
from mlops_core.structure.problems import Misfit, Problem, key_text, nearest, one_line
from mlops_core.structure.scalars import Deferred, Secret, duration, duration_text, named, plain, share
from mlops_core.structure.structurer import Structurer

__all__ = [
    "SHARE",
    "Check",
    "Deferred",
    "Misfit",
    "Problem",
    "Secret",
    "Structurer",
    "duration",
    "duration_text",
    "expected",
    "field_type",
    "key_of",
    "key_text",
    "named",
    "nearest",
    "one_line",
    "plain",
    "share",
    "type_text",
]
