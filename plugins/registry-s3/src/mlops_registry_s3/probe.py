"""Is the endpoint one on which a registry can stand? Asked once a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from mlops_core.exceptions import VersioningError
from mlops_registry_s3.failures import status_of
from mlops_registry_s3.keys import envelope, opened

if TYPE_CHECKING:
    from mlops_registry_s3.bucket import Bucket

__all__ = ["prove"]

_KEY: Final = ".format"
_REFUSED: Final = frozenset({403, 412})  # whoever may only read overwrites nothing
_WRONG: Final = '"00000000000000000000000000000000"'


def prove(bucket: Bucket) -> None:
    """Write the store's format, and see that the endpoint refuses a write whose precondition does not hold.

    Raises:
        VersioningError: There is no bucket, its format is a later one, or the endpoint ignores preconditions.
    """
    next(bucket.listing("", limit=1), None)  # some servers make a bucket at the first write: a misspelled one must not be made
    stored = bucket.get(_KEY)
    if stored is None:
        body = envelope("the store's format")
        if (other := bucket.create(_KEY, body)) is not None:
            body = other
    else:
        body = stored.body
    opened(body, f"s3://{bucket.name}/{bucket.path(_KEY)}")
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": _WRONG}):
        if not _refuses(bucket, body, condition):
            raise VersioningError(
                f"registry.s3: {bucket.client.place} ignores preconditions ({', '.join(condition)}), so that writers would overwrite "
                "each other - use AWS S3, SeaweedFS or another server that honours them"
            )


def _refuses(bucket: Bucket, body: bytes, condition: dict[str, str]) -> bool:
    with bucket.errors(_KEY):
        try:
            bucket.call("put_object", _KEY, Body=body, **condition)
        except ClientError as error:
            if status_of(error) in _REFUSED:
                return True
            if status_of(error) != 501:  # noqa: PLR2004  not implemented
                raise
    return False
