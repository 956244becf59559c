"""The one name rule for tenants, models, versions, experiments, stages and everything else that a person names."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from mlops_core.exceptions import MLOpsError, NameRuleError, checks_input

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_name", "inside", "is_name", "quoted"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_SHOWN = 40


def is_name(value: Any) -> bool:
    """Whether ``value`` follows the rule ``[A-Za-z0-9][A-Za-z0-9._-]{0,127}``."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


@checks_input
def check_name(value: Any, what: str, error: type[MLOpsError] = NameRuleError) -> str:
    """Answer ``value`` if it follows the rule.

    Args:
        value: What the caller gave.
        what: What it names, for the message: ``model``, ``tenant``.
        error: The class to raise: a facade passes its own.

    Raises:
        MLOpsError: Of class ``error``; one line with the value, shortened, and the rule.
    """
    if is_name(value):
        return str(value)
    if not isinstance(value, str):
        raise error(f"{what}: expected text, got {type(value).__name__} - give a name such as 'ticket_classifier'")
    rule = "use 1 to 128 of A-Z a-z 0-9 . _ - and begin with a letter or digit"
    raise error(f"{what}: {quoted(value)} is not a name - {rule}{_foreign(value)}")


def quoted(text: str, longest: int = _SHOWN) -> str:
    """A text that somebody gave, in quotes, on one line and short whatever it holds."""
    shown = repr(text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)")
    if len(shown) <= 2 * longest + _SHOWN:
        return shown
    return f"{shown[: 2 * longest]}... ({len(text)} characters)"  # letters that are written as codes


def _foreign(text: str) -> str:
    """The first character that is not ASCII, by its own name: it may look like one that is, or like nothing."""
    found = next((one for one in text if not one.isascii()), None)
    return "" if found is None else f" (it has {unicodedata.name(found, 'a character').lower()}, U+{ord(found):04X})"


@checks_input
def inside(root: Path, relative: str, what: str, error: type[MLOpsError] = NameRuleError) -> Path:
    """The one path resolver: ``root / relative``, refused where it would leave ``root`` (by ``..``, a link or an absolute path).

    Raises:
        MLOpsError: Of class ``error``.
    """
    if "\0" in relative:
        raise error(f"{what}: {relative[:_SHOWN]!r} contains a NUL character - give a plain relative path")
    base = root.resolve()
    target = (base / relative).resolve()
    if target != base and base not in target.parents:
        raise error(f"{what}: {relative[:_SHOWN]!r} leaves its folder - give a relative path without '..'")
    return target
