"""What is refused of the options before anything is sent; no message shows a value, which may be a secret."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mlops_core.exceptions import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attrs import Attribute

__all__ = ["check_headers", "check_resource", "check_url"]

_VISIBLE: Final = re.compile(r"[!-~]+", re.ASCII)
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_HEADER_VALUE: Final = re.compile(r"[ -~]*", re.ASCII)
_OURS: Final = frozenset({"connection", "content-encoding", "content-length", "content-type", "host", "transfer-encoding"})


def check_url(_: object, option: Attribute[str], url: str) -> None:
    """An http or https address with a host, without credentials."""
    parts = None
    with suppress(ValueError):  # its words may quote the address
        found = urlsplit(url)
        if found.scheme in {"http", "https"} and (found.hostname or "").encode("idna") and found.port != 0:
            parts = found
    if parts is None or not _VISIBLE.fullmatch(url):
        raise MonitoringError(f"{option.name}: expected an http or https address with a host - write http://127.0.0.1:4318/v1/metrics")
    if "@" in parts.netloc:
        raise MonitoringError(f"{option.name}: holds a user or a password - give them in headers as Authorization")
    if parts.fragment:
        raise MonitoringError(f"{option.name}: what stands after # is never sent - leave it out")


def check_headers(_: object, option: Attribute[Any], headers: Mapping[str, str]) -> None:
    """Names and values as HTTP has them, and none of those that the sink sets."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            raise MonitoringError(f"{option.name}: {name!r} is no name of a header - write one such as Authorization")
        if name.lower() in _OURS:
            raise MonitoringError(f"{option.name}: {name} is set by the sink itself - leave it out")
        if not _HEADER_VALUE.fullmatch(value):
            raise MonitoringError(f"{option.name}: the value of {name} is not one line of ASCII - correct it")


def check_resource(_: object, option: Attribute[Any], resource: Mapping[str, str]) -> None:
    """Names with something in them."""
    if not all(resource):
        raise MonitoringError(f"{option.name}: an attribute has no name - write one such as deployment.environment.name")
