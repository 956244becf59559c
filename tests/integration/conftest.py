"""The command line as a person calls it: the installed program, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROGRAM = Path(sys.executable).with_name("mlops")


@frozen
class Answer:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """What was said on standard error, which is one line."""
        assert self.err.endswith("\n"), self
        assert self.err.count("\n") == 1, self
        return self.err.rstrip("\n")


class Call(Protocol):
    """``mlops ARGUMENTS`` in a folder, by default the current one."""

    def __call__(self, *arguments: str, folder: Path | None = None, further: Mapping[str, str] | None = None) -> Answer: ...


@pytest.fixture(scope="session")
def mlops() -> Call:
    """Call the installed program."""

    def call(*arguments: str, folder: Path | None = None, further: Mapping[str, str] | None = None) -> Answer:
        environment = {**os.environ, **(further or {})}
        done = subprocess.run([PROGRAM, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(autouse=True)
def _path_as_before() -> Iterator[None]:
    """Inline plugins append their project to Python's path."""
    before = list(sys.path)
    yield
    sys.path[:] = before
