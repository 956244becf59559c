"""An MLflow client, and its errors in the framework's words."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import ExperimentError, MLOpsError, PluginError
from mlops_core.records import masked_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient

__all__ = ["ask", "connect", "errors", "is_url", "load", "store_uri"]

_REFUSALS: Final = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"})
_QUESTION: Final = "/api/2.0/mlflow/experiments/search"
_PATIENCE: Final = 5  # seconds
_BROKEN: Final = 500
_CHATTY: Final = ("mlflow.store.db.utils", "alembic")


def is_url(tracking_uri: str) -> bool:
    """Whether it is a URI (``http://``, ``sqlite:///``, ``postgresql://``) and not a folder."""
    return "://" in tracking_uri


def store_uri(tracking_uri: str) -> str:
    """The URI that MLflow understands: a folder stands for the SQLite store ``mlflow.db`` in it, since the file store is retired."""
    return tracking_uri if is_url(tracking_uri) else f"sqlite:///{Path(tracking_uri).absolute() / 'mlflow.db'}"


def load() -> type[MlflowClient]:
    """Import MLflow, or find it imported.

    Raises:
        PluginError: It cannot be imported.
    """
    # MLflow reports usage over the network unless told not to, and a tracker must reach nothing but its backend.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import MlflowClient
    except Exception as error:  # of what it imports in turn, a release that does not fit raises anything
        reason = str(error).partition("\n")[0][:300]
        raise PluginError(f"tracker mlflow: MLflow cannot be imported ({type(error).__name__}: {reason}) - reinstall mlflow") from error
    return MlflowClient


def connect(tracking_uri: str) -> MlflowClient:
    """A client; makes the folder of a local store and creates or upgrades its tables."""
    client = load()
    if not is_url(tracking_uri):
        Path(tracking_uri).mkdir(parents=True, exist_ok=True)
    with errors(tracking_uri):
        for name in _CHATTY:  # the steps of its migrations are of no use to somebody who logs a metric
            logging.getLogger(name).setLevel(logging.WARNING)
        return client(tracking_uri=store_uri(tracking_uri))


def ask(tracking_uri: str) -> None:
    """Ask a server once whether it answers; raises if it does not.

    MLflow's own requests try one that is down for minutes. Its environment variables that bound this hold for the whole process and its
    children, where others use MLflow as well, and bound uploads too. A store without a server is not asked.
    """
    if not tracking_uri.startswith(("http://", "https://")):
        return
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    credentials = get_default_host_creds(tracking_uri)  # type: ignore[no-untyped-call]  # as the next one, untyped in MLflow
    limits = {"max_retries": 0, "timeout": _PATIENCE, "raise_on_status": False}
    try:
        answer = http_request(credentials, _QUESTION, "GET", params={"max_results": 1}, **limits)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise ConnectionError(str(_origin(error))) from error
    if answer.status_code >= _BROKEN:
        raise ConnectionError(f"it answers {answer.status_code} {answer.reason}")


def _origin(error: BaseException) -> BaseException:
    """What was raised first, below all that has been wrapped around it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


@contextmanager
def errors(tracking_uri: str) -> Iterator[None]:
    """MLflow's refusals become ``ExperimentError``, which is final; anything else ``MLOpsError``, which is tried again."""
    try:
        yield
    except MLOpsError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0][:300]
        if _is_refusal(error):
            raise ExperimentError(f"tracker mlflow: {reason}") from error
        raise MLOpsError(
            f"tracker mlflow: {masked_url(tracking_uri)} cannot be used ({type(error).__name__}: {reason}) - check 'tracking_uri'"
        ) from error


def _is_refusal(error: BaseException | None) -> bool:
    """Whether another try would be in vain: MLflow says so by its code, or text cannot be encoded, which it calls an internal error."""
    if getattr(error, "error_code", None) in _REFUSALS:
        return True
    while error is not None and not isinstance(error, UnicodeError):
        error = error.__cause__ or error.__context__
    return error is not None
