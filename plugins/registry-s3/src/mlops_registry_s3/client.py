"""One S3 client a process, its threads, the server's time, and errors of one line."""

from __future__ import annotations

import functools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from mlops_core.records import masked_url
from mlops_registry_s3.failures import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.exceptions import MLOpsError

__all__ = ["S3Client"]

_CONNECT: Final = 10  # seconds
_READ: Final = 60
_ATTEMPTS: Final = 5
_STEP: Final = 5.0  # seconds by which a server's clock may differ from its neighbour's; more is a clock that was set


@define(eq=False)
class _Process:
    """What belongs to one process: a forked child has sockets, threads and locks of its own."""

    pid: int = field(factory=os.getpid)
    lock: threading.Lock = field(factory=threading.Lock)
    client: Any = None
    pool: ThreadPoolExecutor | None = None
    offset: float | None = None


@define(eq=False)
class S3Client:
    """Calls of S3 by any thread of any process. ``connections`` bounds sockets and threads; None as a key means boto3's own chain.

    ``label`` begins every error.
    """

    endpoint_url: str | None = None
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    connections: int = 16
    label: str = "registry.s3"
    _held: _Process = field(factory=_Process, init=False, repr=False)

    @property
    def place(self) -> str:
        """The endpoint, as it may be shown: on one line, without its password even where it lacks ``http://``."""
        if not self.endpoint_url:
            return "AWS S3"
        url = " ".join(self.endpoint_url.split())
        return masked_url(url) if "://" in url else masked_url(f"://{url}").removeprefix("://")

    @property
    def _process(self) -> _Process:
        if self._held.pid != os.getpid():
            self._held = _Process()
        return self._held

    def call(self, operation: str, **arguments: Any) -> Any:
        """One call of boto3's client, such as ``put_object``; raises what boto3 raises."""
        from botocore.exceptions import ClientError

        try:
            answer = getattr(self._client(), operation)(**arguments)
        except ClientError as error:
            self._see(error.response)
            raise
        self._see(answer)
        return answer

    def now(self) -> float:
        """Seconds since 1970 by the server's clock: at most a second and the way of an answer less than it is, and never more."""
        return time.monotonic() + (self._process.offset or 0.0)

    def _see(self, answer: Any) -> None:
        """The server tells whole seconds; the offset that was greatest is the nearest to the truth."""
        told = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if told:
            process, offset = self._process, parsedate_to_datetime(told).timestamp() - time.monotonic()
            if process.offset is None or not process.offset - _STEP < offset < process.offset:
                process.offset = offset

    @property
    def pool(self) -> ThreadPoolExecutor:
        """Threads for calls side by side. What runs there waits for nothing else that runs there."""
        process = self._process
        with process.lock:
            if process.pool is None:
                process.pool = ThreadPoolExecutor(self.connections, thread_name_prefix="mlops-s3")
            return process.pool

    def _client(self) -> Any:
        process = self._process
        if process.client is None:
            with process.lock:
                if process.client is None:
                    process.client = self._connect()
        return process.client

    def _connect(self) -> Any:
        import boto3
        import botocore.session
        from botocore.config import Config

        own = self.endpoint_url is not None and "amazonaws.com" not in self.endpoint_url
        config = Config(
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            max_pool_connections=self.connections,
            s3={"addressing_style": "path" if own else "auto"},
        )
        keys: dict[str, Any] = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key}
        core = botocore.session.get_session()
        core.register_component("data_loader", _descriptions())
        session = boto3.session.Session(botocore_session=core)  # the default one is shared by all threads, and is not safe
        region = self.region or session.region_name or ("us-east-1" if own else None)
        return session.client("s3", endpoint_url=self.endpoint_url, region_name=region, config=config, **keys)

    @contextmanager
    def errors(self, kind: type[MLOpsError], what: str) -> Iterator[None]:
        """Whatever boto3 raises inside becomes one line that begins with the label and ``what``."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError, ValueError) as error:
            raise kind(f"{self.label}: {what}: {self._masked(reason(error, self.place))}") from error

    def _masked(self, text: str) -> str:
        """With the endpoint as it may be shown: boto3's own words tell it as it is."""
        url = self.endpoint_url or ""
        for form in filter(None, (url, " ".join(url.split()))):
            text = text.replace(form, self.place)
        return text

    def close(self) -> None:
        """Close this process's sockets and threads; the next call opens new ones."""
        process = self._process
        with process.lock:
            client, pool = process.client, process.pool
            process.client = process.pool = None
        if pool is not None:
            pool.shutdown(cancel_futures=True)
        if client is not None:
            client.close()


@functools.cache
def _descriptions() -> Any:
    """What boto3 knows of S3, read once: each store that opens would read them for a tenth of a second."""
    from botocore.loaders import Loader

    return Loader()
