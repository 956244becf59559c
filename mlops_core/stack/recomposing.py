"""A stack composed again, in another process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_core.config.settings import Settings
from mlops_core.exceptions import ConfigError
from mlops_core.stack.composing import compose
from mlops_core.stack.portable import DOCUMENTS, SETTINGS

if TYPE_CHECKING:
    from mlops_core.records import StackRef
    from mlops_core.stack.stack import Stack

__all__ = ["from_ref"]


def from_ref(ref: StackRef) -> Stack:
    """The same stack in this process; secrets are read here.

    Raises:
        ConfigError: The configuration does not stand here as it did there.
    """
    from mlops_core.config.loading import read
    from mlops_core.stack.embedded import embedded

    root = Path(ref.root)
    if DOCUMENTS in ref.config:
        settings, origin = read([(name, text) for name, text in ref.config[DOCUMENTS]], embedded(root))
        return compose(settings, root, profile=ref.profile, tenant=ref.tenant, origin=origin)
    try:
        settings = Settings.from_dict(ref.config[SETTINGS])
    except (KeyError, ValueError) as error:
        raise ConfigError(f"stack: the reference holds no configuration that this release reads: {error}") from error
    return compose(settings, root, profile=ref.profile, tenant=ref.tenant)
