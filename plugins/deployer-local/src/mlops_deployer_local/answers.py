"""What a request is answered: by the application, or by whatever refused it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from mlops_deployer_local.bodies import dump
from mlops_deployer_local.schema import BadRequestError

__all__ = ["Answer", "Reply", "ServerFaultError", "told"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
Headers = tuple[tuple[bytes, bytes], ...]


@frozen
class Answer:
    """A status, a body, which is JSON unless ``kind`` says otherwise, and further headers."""

    status: int
    body: bytes
    headers: Headers = ()
    kind: bytes = b"application/json"

    @classmethod
    def of(cls, status: int, values: Any, headers: Headers = ()) -> Answer:
        """From values that JSON has a form for."""
        return cls(status, dump(values), headers)


Reply = Callable[[Answer], None]
"""Takes the answer of one request, once."""


class ServerFaultError(Exception):
    """The model's or the server's failure; the message is shown."""

    def __init__(self, message: str, status: int = 500, headers: Headers = ()) -> None:
        super().__init__(message)
        self.answer = Answer.of(status, {"error": message}, headers)


def told(error: Exception) -> Answer:
    """The answer to a request over which this was raised: one line, whatever it is."""
    if isinstance(error, BadRequestError):
        return Answer.of(error.status, {"error": error.message}, error.headers)
    if isinstance(error, ServerFaultError):
        return error.answer
    _LOG.error("a request failed in the server", exc_info=error)
    return Answer.of(500, {"error": f"the server failed: {type(error).__name__} - its log says more"})
