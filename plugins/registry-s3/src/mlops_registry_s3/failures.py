"""What went wrong with S3, in words that say what to do."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError, NoCredentialsError, PartialCredentialsError
from botocore.exceptions import ConnectionError as Unreachable

__all__ = ["BROKEN", "code_of", "reason", "status_of"]

_DENIED: Final = frozenset({"403", "AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
BROKEN: Final = (HTTPClientError, IncompleteReadError)  # an answer that ended before its end, which boto3 does not try again
_LONGEST: Final = 300  # characters of a server's own words


def code_of(error: BaseException) -> str:
    """The server's error code, such as ``NoSuchKey``; empty if no server answered."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def status_of(error: BaseException) -> int:
    """The HTTP status of the answer; 0 if no server answered."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if isinstance(error, ClientError) else 0


def reason(error: BaseException, place: str) -> str:
    """One line: the cause and the remedy. ``place`` is the endpoint as it may be shown: boto3's own words may hold its password."""
    code = code_of(error)
    match error:
        case ClientError() if code == "NoSuchBucket":
            return f"{place} has no such bucket - create it, or correct `bucket`"
        case ClientError() if code in _DENIED:
            return f"{place} denies access ({code}) - check access_key, secret_key and what the key's owner may do"
        case ClientError():
            words = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:_LONGEST]
            return f"{place} answers {code or status_of(error)}: {words}"
        case NoCredentialsError() | PartialCredentialsError():
            return "no credentials - set access_key and secret_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        case Unreachable() | HTTPClientError() | IncompleteReadError():
            return f"{place} cannot be reached ({type(error).__name__}) - is it running, and is endpoint_url right?"
    return f"{place}: {type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}"
