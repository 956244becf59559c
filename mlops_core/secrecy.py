"""What must not be shown: the texts that the references of a configuration stood for, for as long as it is in use in this process.

Three places hide them, so that nobody who words a message has to think of it: every error of the framework, ``one_line`` (the way in which
the error of a backend becomes a reason in a report or a journal), and every record of the framework's loggers.
"""

from __future__ import annotations

import logging
import traceback
import weakref
from typing import Final

__all__ = ["Hidden", "MaskingHandler", "mask"]

_SHORTEST: Final = 4


class Hidden:
    """Texts that no message shows while this object lives. Shorter ones than four characters would hide half of every message."""

    __slots__ = ("__weakref__", "_forms")

    def __init__(self) -> None:
        self._forms: set[str] = set()
        _ALIVE[id(self)] = self

    def add(self, secret: str) -> None:
        """Hide a text in each form in which a message may quote it: on one line, line by line, escaped, as a part of a URL."""
        import json
        from urllib.parse import quote, quote_plus

        escaped = repr(f"\"'{secret}")[1:-1].removeprefix("\"\\'")  # both quotes, so that those inside are escaped
        forms = {str(secret), " ".join(secret.split()), escaped, escaped.replace("\\'", "'"), quote(secret, safe=""), quote_plus(secret)}
        forms |= {json.dumps(secret, ensure_ascii=plain)[1:-1] for plain in (True, False)}
        forms |= {line.strip() for line in secret.splitlines()}
        self._forms.update(one for one in forms if len(one) >= _SHORTEST)

    def forms(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self._forms)

    def __repr__(self) -> str:
        return "***"


_ALIVE: Final[weakref.WeakValueDictionary[int, Hidden]] = weakref.WeakValueDictionary()
"""Of the process, since an error does not know whose stack it comes from. Used without a lock, which a fork could leave locked."""


def mask(text: str) -> str:
    """The text with ``***`` in place of everything that is hidden."""
    found = {form for one in _ALIVE.valuerefs() if (hidden := one()) is not None for form in hidden.forms()}
    for form in sorted(found, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


class MaskingHandler(logging.Handler):
    """Stands at the root of the framework's loggers, where each record passes on its way to the handlers of the program."""

    def emit(self, record: logging.LogRecord) -> None:
        """Mask the message, and the traceback if there is one; nothing is written."""
        try:
            said = record.getMessage()
            if mask(said) != said:
                record.msg, record.args = mask(said), None
            if record.exc_info:
                trace = "".join(traceback.format_exception(*record.exc_info)).rstrip()
                if mask(trace) != trace:
                    record.exc_text, record.exc_info = mask(trace), None
        except Exception:  # noqa: BLE001  as logging does: a record that cannot be formatted ends no program
            self.handleError(record)
