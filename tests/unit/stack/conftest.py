"""A project in the test's folder, with backends that are files of it."""

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from mlops_core.plugins import Loader
from mlops_core.stack import Stack

BACKENDS = """
import os
import threading
from attrs import define, field
from mlops_core.exceptions import DeploymentError
from mlops_core.hookspecs import hookimpl
from mlops_core.records import GateDecision
from mlops_core.roles import AlertChannel, Deployer, DriftTest, Executor, MonitorSink, Observer, RegistryStore, Stage, Tracker

CALLS = []
INSIDE, LEAVE = threading.Event(), threading.Event()


def filled(role):
    def absent(self, *args, **kwargs):
        raise NotImplementedError

    return dict.fromkeys(role.__abstractmethods__, absent)


class Recording:
    __slots__ = ()

    def __attrs_post_init__(self):
        CALLS.append((type(self).__name__, "built", os.getpid()))

    def close(self):
        CALLS.append((type(self).__name__, "closed", os.getpid()))


@define(eq=False)
class Store(Recording, RegistryStore):
    contract = 1
    url: str = field(default="x", metadata={"help": "where"})
    port: int = field(default=1, metadata={"help": "its port"})
    locals().update(filled(RegistryStore))

    def check(self):
        if self.url == "down":
            raise DeploymentError("store: nobody answers")
        if self.url.startswith("pg:"):
            raise RuntimeError(f"cannot reach {self.url}")


@define(eq=False)
class Tracks(Recording, Tracker):
    contract = 1
    capabilities = frozenset({"search"})
    locals().update(filled(Tracker))


@define(eq=False)
class Slow(Tracker):
    contract = 1
    locals().update(filled(Tracker))

    def __attrs_post_init__(self):
        INSIDE.set()
        LEAVE.wait()


@define(eq=False)
class Blind(Recording, Tracker):
    contract = 1
    locals().update(filled(Tracker))


@define(eq=False)
class Deploys(Recording, Deployer):
    contract = 1
    port: int = field(default=0, metadata={"help": "its port"})
    locals().update(filled(Deployer))


@define(eq=False)
class Sinks(Recording, MonitorSink):
    contract = 1
    capabilities = frozenset({"read"})
    locals().update(filled(MonitorSink))


@define(eq=False)
class WriteOnly(Recording, MonitorSink):
    contract = 1
    locals().update(filled(MonitorSink))


@define(eq=False)
class ReadOnly(Recording, MonitorSink):
    contract = 1
    capabilities = frozenset({"read"})
    locals().update(filled(MonitorSink))


@define(eq=False)
class Energy(Recording, DriftTest):
    contract = 1
    bins: int = field(default=10, metadata={"help": "how many"})
    locals().update(filled(DriftTest))


@define(eq=False)
class Away(Recording, Executor):
    contract = 1
    capabilities = frozenset({"remote"})
    locals().update(filled(Executor))


@define(eq=False)
class Listens(Recording, Observer):
    contract = 1
    name_: str = field(default="", metadata={"help": "told in CALLS"})

    @hookimpl
    def run_started(self, event):
        CALLS.append((self.name_, event.run_id))

    @hookimpl
    def run_finished(self):
        CALLS.append((self.name_, "finished"))


@define(eq=False)
class Raises(Observer):
    contract = 1

    @hookimpl
    def run_started(self, event):
        raise ValueError("no")

    @hookimpl
    def run_finished(self):
        raise SystemExit(4)

    @hookimpl
    def deployment_gate(self, request):
        raise ValueError("no")


class Loose(GateDecision):
    def __init__(self, allow):
        object.__setattr__(self, "allow", allow)
        object.__setattr__(self, "reason", "")


@define(eq=False)
class Gate(Observer):
    contract = 1
    answer: str = field(default="", metadata={"help": "what it answers"})

    @hookimpl
    def deployment_gate(self, request):
        CALLS.append(("gate", self.answer))
        if self.answer == "exit":
            raise SystemExit(4)
        if self.answer == "text":
            return GateDecision(allow="no")
        if self.answer == "loose":
            return Loose(allow="no")
        return {
            "": None,
            "allow": GateDecision(allow=True),
            "veto": GateDecision(allow=False, reason="too late"),
            "silent": GateDecision(allow=False),
            "true": True,
        }[self.answer]


@define(eq=False)
class Misspelled(Observer):
    contract = 1

    @hookimpl
    def run_startd(self, event): ...


@define(eq=False)
class Train(Stage):
    contract = 1
    depth: int = field(metadata={"help": "levels"})

    def run(self, context, data, *, rate=0.5):
        return data, self.depth, rate
"""

FILE = "backends.py"
Configure = Callable[..., Path]
Calls = Callable[[Stack], list[Any]]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Write ``mlops.yaml`` (or an overlay) beside ``backends.py``."""
    (tmp_path / FILE).write_text(BACKENDS, encoding="utf-8")

    def write(text: str, name: str = "mlops.yaml") -> Path:
        path = tmp_path / name
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


@pytest.fixture
def calls() -> Calls:
    """What the backends of a stack were asked to do, in order; a list to be cleared."""

    def of(stack: Stack) -> list[Any]:
        cls = Loader(stack.root).load("tracker", f"{FILE}:Tracks").cls
        found: list[Any] = vars(sys.modules[cls.__module__])["CALLS"]
        return found

    return of
