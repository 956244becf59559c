"""Calls of AWS: one client a service and process, errors of one line."""

from __future__ import annotations

import functools
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from mlops_core.exceptions import MLOpsError
from mlops_deployer_sagemaker.failures import told

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Aws"]

_CONNECT: Final = 10  # seconds
_READ: Final = 70  # seconds: SageMaker gives a model 60 to answer
_ATTEMPTS: Final = 6
_ONCE: Final = "sagemaker-runtime"  # a prediction may not be sent again: its model may be at it still
_CONNECTIONS: Final = 32


@define(eq=False)
class _Process:
    """What belongs to one process: a forked child has sockets and locks of its own."""

    pid: int = field(factory=os.getpid)
    lock: threading.Lock = field(factory=threading.Lock)
    clients: dict[str, Any] = field(factory=dict)


@define(eq=False)
class Aws:
    """Clients by service, made at their first use; credentials are boto3's own to find. Safe from any thread of any process.

    Throttled calls are repeated after growing pauses with jitter, by botocore's standard mode; predictions are sent once.
    """

    region: str | None = None
    endpoint_url: str | None = None
    _held: _Process = field(factory=_Process, init=False, repr=False)

    def client(self, service: str) -> Any:
        """Boto3's client of a service.

        Raises:
            DeploymentError: There is no region.
            OutageError: There are no credentials.
        """
        if self._held.pid != os.getpid():
            self._held = _Process()
        process = self._held
        with process.lock:
            if service not in process.clients:
                with self.errors(f"the client of {service}"):
                    process.clients[service] = self.connect(service)
            return process.clients[service]

    def call(self, service: str, operation: str, **arguments: Any) -> Any:
        """One call, such as ``create_model`` of ``sagemaker``.

        Raises:
            ClientError: AWS refused, as it says; for who can do something about it.
            OutageError: AWS was not reached.
            DeploymentError: The call is none.
        """
        from botocore.exceptions import ClientError

        client = self.client(service)
        try:
            return getattr(client, operation)(**arguments)
        except ClientError:
            raise
        except Exception as error:
            raise told(error, operation) from error

    @contextmanager
    def errors(self, operation: str) -> Iterator[None]:
        """Whatever boto3 raises inside becomes one line."""
        try:
            yield
        except MLOpsError:
            raise
        except Exception as error:
            raise told(error, operation) from error

    def connect(self, service: str) -> Any:
        """A new client."""
        import boto3
        import botocore.session
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1 if service == _ONCE else _ATTEMPTS},
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            max_pool_connections=_CONNECTIONS,
        )
        core = botocore.session.get_session()
        core.register_component("data_loader", _descriptions())
        session: Any = boto3.session.Session(botocore_session=core)  # the default one is shared by all threads, and is not safe
        return session.client(service, endpoint_url=self.endpoint_url, region_name=self.region, config=config)

    def close(self) -> None:
        """Close this process's sockets; the next call opens new ones."""
        clients, self._held = list(self._held.clients.values()), _Process()
        for client in clients:
            client.close()


@functools.cache
def _descriptions() -> Any:
    """What boto3 knows of the services, read once for all clients."""
    from botocore.loaders import Loader

    return Loader()
