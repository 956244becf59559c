"""The options that both channels have, and what is refused before anything is sent; no message shows a value, which may be a secret."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import field, validators

from mlops_core.exceptions import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

    from attrs import Attribute

__all__ = ["header_field", "send_timeout_field", "url_field"]

_VISIBLE: Final = re.compile(r"[!-~]+", re.ASCII)
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_HEADER_VALUE: Final = re.compile(r"[ -~]*", re.ASCII)
_OURS: Final = frozenset(
    {"connection", "content-length", "content-type", "host", "idempotency-key", "transfer-encoding", "x-mlops-signature"}
)
_LONGEST: Final = 600


def url_field(told: str, *further: Callable[[Any, Attribute[str], str], None]) -> Any:
    """The option ``url``: an http or https address with a host, without credentials; ``further`` are validators."""
    return field(validator=[_check_url, *further], repr=False, metadata={"help": told})


def header_field() -> Any:
    """The option ``headers``: sent with every request; their values are never shown."""
    told = "further headers of every request, by name, such as {Authorization: 'Bearer ${TOKEN}'}"
    return field(factory=dict, validator=_check_headers, repr=False, metadata={"help": told})


def send_timeout_field() -> Any:
    """The option ``send_timeout``, in seconds."""
    told = "seconds that connecting, sending and the wait for the answer may each take"
    return field(default=10.0, validator=validators.and_(validators.gt(0), validators.le(_LONGEST)), metadata={"help": told})


def _parts(url: str) -> SplitResult | None:
    """None where the address is none; the words of the error, which may quote it, are in no message and no traceback."""
    with suppress(ValueError):
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # refuses one such as a..b
        if host and parts.port != 0 and parts.scheme in {"http", "https"}:
            return parts
    return None


def _check_url(_: object, option: Attribute[str], url: str) -> None:
    parts = _parts(url)
    if parts is None:
        raise MonitoringError(f"{option.name}: expected an http or https address with a host - write https://hooks.example/path")
    if not _VISIBLE.fullmatch(url):
        raise MonitoringError(
            f"{option.name}: an address holds no spaces and only ASCII - write other characters as %20, a host in xn-- form"
        )
    if "@" in parts.netloc:
        raise MonitoringError(f"{option.name}: holds a user or a password - give them in headers as Authorization")
    if parts.fragment:
        raise MonitoringError(f"{option.name}: what stands after # is never sent - leave it out, or write # as %23")


def _check_headers(_: object, option: Attribute[Any], headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            raise MonitoringError(f"{option.name}: {name!r} is no name of a header - write one such as Authorization")
        if name.lower() in _OURS:
            raise MonitoringError(f"{option.name}: {name} is set by the channel itself - leave it out")
        if not _HEADER_VALUE.fullmatch(value):
            raise MonitoringError(f"{option.name}: the value of {name} is not one line of ASCII - correct it")
