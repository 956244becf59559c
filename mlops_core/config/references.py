"""References in options: ``${VAR}``, ``${VAR:-default}`` and ``${file:path}``, resolved when a backend is built."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from mlops_core.exceptions import ConfigError
from mlops_core.secrecy import Hidden
from mlops_core.structure import Deferred, Secret

__all__ = ["Resolver", "has_reference", "malformed", "resolve"]

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_VARIABLE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.ASCII | re.DOTALL)
_FILE: Final = "file:"
_LARGEST: Final = 1 << 20


def has_reference(text: str) -> bool:
    """Whether something in the text is resolved later; ``$${`` is a plain ``${``."""
    return any(found[0] != "$${" for found in _REFERENCE.finditer(text))


def malformed(text: str) -> str | None:
    """What is wrong with the references in a text, or None."""
    for found in _REFERENCE.finditer(text):
        inside = found[1]
        if found[0] == "$${" or (inside and (inside[len(_FILE) :] if inside.startswith(_FILE) else _VARIABLE.fullmatch(inside))):
            if inside is None or "${" not in inside:
                continue
            return f"{found[0]!r}: a reference holds no other - write the default out, or set the variable"
        return f"{found[0]!r} is no reference - write ${{NAME}}, ${{NAME:-default}} or ${{file:PATH}}, and $${{ for a plain ${{"
    return None


def resolve(text: str, root: Path) -> str:
    """The text with its references resolved, as a ``Secret`` if it has any.

    Raises:
        ConfigError: A variable is not set, or a file cannot be read.
    """
    return Resolver(root).text(text)


@define(eq=False)
class Resolver:
    """Resolves references; what they stood for is hidden from messages as long as this lives. Files are relative to ``root``."""

    root: Path
    _hidden: Hidden = field(factory=Hidden, init=False)

    def text(self, text: str) -> str:
        """One text resolved; raises ``ConfigError``."""
        wrong = malformed(text)
        if wrong is not None:
            raise ConfigError(wrong)
        parts = list[str]()
        plain = _REFERENCE.sub(lambda found: self._value(found, parts), text)
        for one in (plain, *parts) if parts else ():
            self._hidden.add(one)
        return Secret(plain) if has_reference(text) else plain

    def resolved(self, options: Mapping[str, Any], key: str, at: str) -> dict[str, Any]:
        """Options with every text resolved.

        Raises:
            ConfigError: One line that begins with ``at`` and ``key``, for the first that cannot be.
        """
        try:
            return {name: _each(value, self.text) for name, value in options.items()}
        except ConfigError as error:
            raise ConfigError(": ".join(part for part in (at, key, error.message) if part)) from error.__cause__

    def tried(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options with the texts resolved that can be now; the others fit whatever is asked of them."""
        return {name: _each(value, self._try) for name, value in options.items()}

    def _try(self, text: str) -> str:
        try:
            return self.text(text)
        except ConfigError:
            return Deferred(text)

    def _value(self, found: re.Match[str], hidden: list[str]) -> str:
        """What a reference stands for; what is no default is added to ``hidden``."""
        if found[0] == "$${":
            return "${"
        if found[1].startswith(_FILE):
            hidden.append(self._read(found[1][len(_FILE) :]))
            return hidden[-1]
        variable = _VARIABLE.fullmatch(found[1])
        name, default = (variable[1], variable[2]) if variable is not None else (found[1], None)
        value = os.environ.get(name)
        if value is None or (not value and default is not None):
            if default is None:
                raise ConfigError(f"${{{name}}}: the variable is not set - set it, or write ${{{name}:-default}}")
            return default
        hidden.append(value)
        return value

    def _read(self, name: str) -> str:
        try:
            with (self.root / Path(name).expanduser()).open("rb") as stream:
                return stream.read(_LARGEST).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) and error.strerror else "it is no text"
            raise ConfigError(f"${{file:{name}}}: the file cannot be read: {cause} - relative paths begin at the configuration") from error


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _each(one, change) for key, one in value.items()}
    return [_each(one, change) for one in value] if isinstance(value, list | tuple) else value
