"""One S3 server for all tests of the plugin, a place in it for each, and a hand on the wire between."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field
from botocore.httpsession import URLLib3Session
from botocore.retries.standard import ExponentialBackoff

from mlops_core.testing.servers import S3Server
from mlops_registry_s3.registry import S3Registry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture(scope="session")
def bucket(server: S3Server) -> str:
    return server.bucket()


@pytest.fixture
def opener(server: S3Server, bucket: str) -> Callable[..., S3Registry]:
    """Opens the test's own store once more; options can be given."""
    prefix = f"tests/{uuid.uuid4().hex}"
    return partial(S3Registry, bucket, prefix, server.url, server.region, server.access_key, server.secret_key)


@pytest.fixture
def store(opener: Callable[..., S3Registry]) -> Iterator[S3Registry]:
    store = opener()
    yield store
    store.close()


def changes(request: Any) -> bool:
    """Whether a request changes anything."""
    return request.method in {"PUT", "POST", "DELETE"}


@define(eq=False)
class Wire:
    """Requests that ``wanted`` picks are counted; with the ``fault`` of the ``nth`` in their place, all others go through."""

    fault: Callable[[Any, Callable[[], Any]], Any] = lambda _, go: go()
    wanted: Callable[[Any], bool] = changes
    nth: int = 0
    every: bool = False
    seen: int = 0
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def attach(self, monkeypatch: pytest.MonkeyPatch) -> Wire:
        """Take the place of the network until the test ends."""
        real, wire = URLLib3Session.send, self

        def send(session: URLLib3Session, request: Any) -> Any:
            def go() -> Any:
                return real(session, request)

            return wire.fault(request, go) if wire.picks(request) else go()

        monkeypatch.setattr(URLLib3Session, "send", send)
        monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
        return self

    def picks(self, request: Any) -> bool:
        """Whether this is the one."""
        if not self.wanted(request):
            return False
        with self._lock:
            self.seen += 1
            return self.every or self.seen == self.nth

    def aim(self, nth: int) -> None:
        """Let the ``nth`` request from now on go wrong; 0 for none."""
        self.nth, self.seen = nth, 0

    @property
    def hit(self) -> bool:
        """Whether it came to that."""
        return 0 < self.nth <= self.seen


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Every request of the test goes through it."""
    return Wire().attach(monkeypatch)
