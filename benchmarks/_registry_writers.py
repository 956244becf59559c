"""Many processes that write to one registry at once, for ``registry.py``: registrations of one model, and moves of one alias."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from mlops_core.exceptions import MLOpsError
from mlops_core.testing.servers import PostgresServer, S3Server
from mlops_core.versioning import ModelVersioning

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore

__all__ = ["STORES", "Crowd", "crowd", "openers"]

STORES = ("sqlite", "postgres", "s3")
MODEL = "contended"
Opener = Callable[[], "RegistryStore"]


@frozen
class Crowd:
    """What the writers of one run saw: seconds of each acknowledged write, what they were told, and the errors."""

    seconds: Sequence[float]
    answers: Sequence[str]
    errors: Sequence[str]
    wall: float

    def percentile(self, share: float) -> float:
        """Of the seconds; nan where nothing was acknowledged."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


@contextlib.contextmanager
def openers(store: str) -> Iterator[Opener]:
    """What opens an empty store in any process."""
    with tempfile.TemporaryDirectory(prefix="registry-bench-") as folder, contextlib.ExitStack() as stack:
        if store == "sqlite":
            yield partial(_sqlite, Path(folder))
        elif store == "postgres":
            yield partial(_postgres, stack.enter_context(PostgresServer()).database(), Path(folder))
        else:
            server = stack.enter_context(S3Server())
            keys = {"access_key": server.access_key, "secret_key": server.secret_key}
            yield partial(_s3, server.bucket(), {"endpoint_url": server.url, "region": server.region, **keys})


def _sqlite(folder: Path) -> RegistryStore:
    from mlops_registry_sql.sqlite import SqliteRegistry

    return SqliteRegistry(folder / "registry.db")


def _postgres(url: str, folder: Path) -> RegistryStore:
    from mlops_registry_sql.postgres import PostgresRegistry

    return PostgresRegistry(url, folder)


def _s3(bucket: str, options: dict[str, Any]) -> RegistryStore:
    from mlops_registry_s3.registry import S3Registry

    return S3Registry(bucket, **options)


def crowd(opener: Opener, act: str, processes: int, times: int) -> Crowd:
    """``act`` is ``explicit``, ``automatic`` or ``alias``. All processes are warm before they begin together."""
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(processes + 1), context.Queue()
    if act == "alias":
        _prepare(opener, processes)
    workers = [context.Process(target=_work, args=(opener, act, worker, times, start, answers)) for worker in range(processes)]
    for worker in workers:
        worker.start()
    start.wait(600)
    began = time.perf_counter()
    seen = [answers.get(timeout=600) for _ in workers]
    wall = time.perf_counter() - began
    for worker in workers:
        worker.join()
    seconds, told, errors = ([one for part in parts for one in part] for parts in zip(*seen, strict=True))
    return Crowd(seconds, told, errors, wall)


def _prepare(opener: Opener, versions: int) -> None:
    store = opener()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for number in range(2 * versions):
            ModelVersioning(store).version_model(MODEL, f"v{number}")
    store.close()


def _work(opener: Opener, act: str, worker: int, times: int, start: Any, answers: Any) -> None:
    store, seconds, told, errors = opener(), list[float](), list[str](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        versioning = ModelVersioning(store)
        versioning.version_model(f"warm-{worker}")  # a service has its connection and its code loaded
        versioning.set_alias(f"warm-{worker}", "champion", "1")
        start.wait(600)
        for turn in range(times):
            began = time.perf_counter()
            try:
                told.append(_act(versioning, act, worker, turn))
            except MLOpsError as error:
                errors.append(error.message)
            else:
                seconds.append(time.perf_counter() - began)
        store.close()
        os.chdir("/")
    answers.put((seconds, told, errors))


def _act(versioning: ModelVersioning, act: str, worker: int, turn: int) -> str:
    if act == "alias":
        target = f"v{2 * worker + turn % 2}"  # never where it points already, whoever moved it last
        return str(versioning.set_alias(MODEL, "champion", target, key=f"{worker}/{turn}").generation)
    version = f"{worker}.{turn}" if act == "explicit" else None
    # A model and keys of each act: the same key again would only answer what the act before made.
    return versioning.version_model(f"{MODEL}-{act}", version, metadata={"accuracy": turn / 100}, key=f"{act}/{worker}/{turn}")
