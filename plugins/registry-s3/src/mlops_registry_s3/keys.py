"""Where things lie in the bucket, and the one form of their bodies.

Below the prefix, for each tenant::

    {tenant}/v/{model}/.l/{number}      the log of the model's versions, newest first in a listing
    {tenant}/v/{model}/.r/{version}     the version is retired: its tombstone
    {tenant}/v/{model}/.d/{version}     the tombstone is in its journal
    {tenant}/x/{model}/{version}        the version by its name: a copy of its place in the log
    {tenant}/s/{model}/{first}-{last}   many versions in one object: a cache
    {tenant}/h/{journal}                there may be such a journal
    {tenant}/j/{journal}/{number}       its entries, newest first
    {tenant}/l/{name}                   a lease
    {tenant}/b/{2 digits}/{sha256}/...  bytes: see ``generations``
"""

from __future__ import annotations

import json
import uuid
from typing import Any, Final
from urllib.parse import quote, unquote

from mlops_core.exceptions import VersioningError
from mlops_core.records import canonical_json

__all__ = ["FORMAT", "by_name", "envelope", "journal_name", "journal_part", "log", "number_key", "number_of", "opened", "part"]

FORMAT: Final = 1
_TOP: Final = 10**12
_UPGRADE: Final = "upgrade motadata-mlops-registry-s3"


def part(name: str) -> str:
    """A name as one part of a key. Names that follow the name rule stay as they are."""
    plain = quote(name, safe="").replace("~", "%7E")
    return f"%2E{plain[1:]}" if plain.startswith(".") else plain


def journal_part(name: str) -> str:
    """A journal's name as one part of a key, in an order that is the names' own: ``-`` < ``.`` < ``/`` < ``0``."""
    return quote(name, safe="/").replace("~", "%7E").replace(".", ".-").replace("/", ".~")


def journal_name(part: str) -> str:
    """The journal of a key's part."""
    return unquote(part.replace(".~", "/").replace(".-", "."))


def number_key(number: int) -> str:
    """A position such that the newest comes first in a listing."""
    return f"{_TOP - number:012d}"


def number_of(key: str) -> int:
    """The position of a key that ends with it."""
    return _TOP - int(key.rpartition("/")[2])


def log(tenant: str, model: str, kind: str = "l") -> str:
    """The folder of a model's versions (``l``), tombstones (``r``) or completed tombstones (``d``)."""
    return f"{part(tenant)}/v/{part(model)}/.{kind}/"


def by_name(tenant: str, model: str, version: str) -> str:
    """The key of a version."""
    return f"{part(tenant)}/x/{part(model)}/{part(version)}"


def envelope(what: str, **content: Any) -> bytes:
    """The bytes of an object that no other writer can have written, unless ``nonce`` says whose it is; raises ``VersioningError``."""
    try:
        return canonical_json({"format": FORMAT, "nonce": uuid.uuid4().hex, **content}).encode()
    except (TypeError, ValueError) as error:
        raise VersioningError(f"registry.s3: {what} holds what JSON cannot: {error}") from error


def opened(body: bytes, what: str) -> dict[str, Any]:
    """What ``envelope`` was given; raises ``VersioningError`` for another format and for what is none."""
    try:
        content = json.loads(body)
        found = content["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise VersioningError(f"registry.s3: {what} is not what this registry wrote - restore the object from a backup") from error
    if found != FORMAT:
        raise VersioningError(f"registry.s3: {what} has format {found}, this release knows {FORMAT} - {_UPGRADE}")
    return dict(content)
