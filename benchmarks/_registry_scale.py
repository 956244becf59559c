"""How a store grows: what a fresh process pays for its first look at so many versions of one model, for ``registry.py``."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING

from attrs import frozen

from mlops_core.records import Comparison, Query
from mlops_core.testing.registry_samples import sample_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from mlops_core.records import ModelVersion
    from mlops_core.roles import RegistryStore

__all__ = ["Look", "fill", "look"]

MODEL = "classifier"


@frozen
class Look:
    """Seconds of a fresh process: one version, the newest, all of them, all of them again, and one more registration."""

    get: float
    newest: float
    everything: float
    again: float
    register: float


def fill(store: RegistryStore, first: int, last: int) -> float:
    """Add versions one by one; seconds each."""
    began = time.perf_counter()
    for _ in range(first, last + 1):
        store.add_next_version("bench", MODEL, _version)
    return (time.perf_counter() - began) / max(last - first + 1, 1)


def _version(number: int) -> ModelVersion:
    return sample_version(str(number), model=MODEL, tenant="bench", number=number, metadata={"accuracy": number / 1e6, "dataset": "v2.1"})


def look(opener: Callable[[], RegistryStore], size: int) -> Look:
    """In a process that has not seen the store."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    worker = context.Process(target=_look, args=(opener, size, there))
    worker.start()
    seen: Look = here.recv()
    worker.join()
    return seen


def _look(opener: Callable[[], RegistryStore], size: int, told: Connection) -> None:
    store = opener()
    store.check()
    mine = Comparison("model", "=", MODEL)

    def seconds(act: Callable[[], object]) -> float:
        began = time.perf_counter()
        act()
        return time.perf_counter() - began

    def everything() -> None:
        assert len(store.find_versions("bench", Query(mine)).items) >= size

    get = seconds(lambda: store.get_version("bench", MODEL, str(size // 2)))
    newest = seconds(lambda: store.find_versions("bench", Query(mine, limit=1), newest_first=True))
    whole, again = seconds(everything), seconds(everything)
    told.send(Look(get, newest, whole, again, seconds(lambda: store.add_next_version("bench", MODEL, _version))))
    store.close()
