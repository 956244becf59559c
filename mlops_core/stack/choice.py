"""What the default stack of a project was made of when it was first used, so that what is installed later moves no history."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlops_core.config.document import DocumentError, parse, values
from mlops_core.exceptions import ConfigError

if TYPE_CHECKING:
    from mlops_core.config.settings import Settings

__all__ = ["FILE", "UNWRITTEN", "keep", "recorded"]

FILE: Final = ".mlops/stack.yaml"
UNWRITTEN: Final = "default stack"
"""Where a default tracker stands, until the file says so."""
_FORMAT: Final = 1
_TEXT: Final = """\
# What this project's default stack was made of when it was first used. To use another tracker, name it under `tracker` in mlops.yaml:
# the runs that are there stay where they are.
format: {format}
tracker: {tracker}
"""


def recorded(root: Path) -> str | None:
    """The tracker that the project's default stack uses; None before its first use.

    Raises:
        ConfigError: The file is damaged, or from a newer release.
    """
    try:
        text = (root / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE}: cannot be read ({type(error).__name__}) - {_remedy()}") from error
    try:
        found = values(parse(text, FILE))
    except DocumentError as error:
        raise ConfigError(f"{FILE}:{error.line}:{error.column}: {error.message} - {_remedy()}") from error
    if not isinstance(found, dict) or not isinstance(found.get("format"), int) or not isinstance(found.get("tracker"), str):
        raise ConfigError(f"{FILE}: does not say which tracker the default stack uses - {_remedy()}")
    if found["format"] > _FORMAT:
        raise ConfigError(f"{FILE}: format {found['format']} is from a newer release - upgrade motadata-mlops-core")
    return str(found["tracker"])


def keep(root: Path, settings: Settings) -> None:
    """Write down which tracker a default stack uses, before its first run. Process-safe; what a file named is not written down.

    Raises:
        ConfigError: Another process has begun with another one meanwhile, or the file cannot be written.
    """
    chosen = next((use.use for use in settings.trackers if use.at == UNWRITTEN), None)
    if chosen is None:
        return
    file = root / FILE
    if not file.exists():
        try:
            _create(file, _TEXT.format(format=_FORMAT, tracker=chosen))
        except OSError as error:
            raise ConfigError(f"{FILE}: cannot be written ({error.strerror}) - name the tracker in mlops.yaml") from error
    if (found := recorded(root)) != chosen:
        raise ConfigError(f"tracker: this project's runs are kept by {found!r}, not by {chosen!r} ({FILE}) - open the project again")


def _create(file: Path, text: str) -> None:
    """The whole file, or none; who comes second keeps the first one's."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        os.chmod(temporary, 0o644)  # noqa: PTH101  as a database beside it: mkstemp lets nobody else read
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)  # unlike a rename, it replaces nothing
    finally:
        Path(temporary).unlink()


def _remedy() -> str:
    return "remove the file, and have the tracker with this project's runs named under 'tracker' in mlops.yaml"
