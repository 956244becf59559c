"""What went wrong at AWS, in words that say what to do."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as Unreachable

from mlops_core.exceptions import DeploymentError, MLOpsError

__all__ = ["OutageError", "code_of", "exists_already", "is_busy", "is_missing", "reason", "told"]

_DENIED: Final = frozenset({"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_REFUSED: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NOBODY: Final = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
_QUOTA: Final = frozenset({"ResourceLimitExceeded", "ServiceQuotaExceededException"})
_BUSY: Final = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown", "ServiceUnavailable"})
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound", "ResourceNotFound"})
_BROKEN: Final = 500  # from this HTTP status on it is AWS that fails
_LONGEST: Final = 300  # characters of AWS's own words


class OutageError(MLOpsError):
    """AWS was not reached, takes no more calls, or does not know the caller: no answer to what was asked, which may be asked again."""


def told(error: BaseException, operation: str) -> MLOpsError:
    """Whatever boto3 raised as an error of one line: an ``OutageError``, or a ``DeploymentError`` where AWS has answered."""
    kind = OutageError if _is_outage(error) else DeploymentError
    return kind(f"deployer sagemaker: {reason(error, operation)}")


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _REFUSED | _BUSY or status >= _BROKEN
    return isinstance(error, (*_NOBODY, Unreachable, HTTPClientError))


def code_of(error: BaseException) -> str:
    """The error's code, such as ``ValidationException``; empty if nobody answered."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def is_missing(error: ClientError) -> bool:
    """What was asked for is not there. SageMaker has no code of its own for that, only words."""
    return code_of(error) in _MISSING or (code_of(error) == "ValidationException" and "Could not find" in _words(error))


def exists_already(error: ClientError) -> bool:
    """What was to be created is there."""
    return code_of(error) == "ValidationException" and "already existing" in _words(error)


def is_busy(error: ClientError) -> bool:
    """The endpoint is changing, and takes no other change before it is done."""
    return code_of(error) == "ValidationException" and "in-progress" in _words(error)


def reason(error: BaseException, operation: str) -> str:
    """One line: the cause and the remedy."""
    if isinstance(error, ClientError):
        return _refusal(error, operation)
    match error:
        case _ if isinstance(error, _NOBODY):
            return f"no credentials ({type(error).__name__}) - run `aws configure`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        case NoRegionError():
            return "no region - set the option `region`, or AWS_DEFAULT_REGION"
        case Unreachable() | HTTPClientError():
            return f"AWS cannot be reached ({type(error).__name__}) - is there a network, and is endpoint_url right?"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}"


def _refusal(error: ClientError, operation: str) -> str:
    code = code_of(error)
    words = {
        _DENIED: f"AWS denies {operation} ({code}) - allow it to whoever runs this, by an IAM policy",
        _REFUSED: f"AWS does not know these credentials ({code}) - log in anew, or correct AWS_ACCESS_KEY_ID and its secret",
        _QUOTA: f"{_words(error)} ({code}) - ask for more in Service Quotas, or take another instance_type",
        _BUSY: f"AWS takes no more calls at present ({code}) - try again later",
        frozenset({"NoSuchBucket"}): "there is no such bucket - create it, or correct `bucket`",
    }
    return next((said for codes, said in words.items() if code in codes), f"AWS answers {code} to {operation}: {_words(error)}")


def _words(error: ClientError) -> str:
    return " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:_LONGEST]
