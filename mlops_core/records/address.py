"""Addresses as they may be shown."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["masked_url"]

_PASSWORD: Final = re.compile(r"(://[^:/?#@]*):.*@", re.DOTALL)  # to the last @: a password may hold one
_QUERY: Final = re.compile(r"([?&;][^=&;#]*(?:pass|pwd|secret|token|key|sig|credential)[^=&;#]*=)[^&;#]*", re.IGNORECASE)


def masked_url(url: str) -> str:
    """A URL for messages: ``***`` in place of its password and of query values that may be secrets."""
    return _QUERY.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))
