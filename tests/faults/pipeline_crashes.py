"""Runs a pipeline that is killed at a chosen moment, resumes it, and tells what is left; for ``test_pipeline_crash.py``.

    python pipeline_crashes.py PROJECT MOMENTS

MOMENTS is a JSON list: ``["before", n]`` and ``["after", n]`` kill the process around its n-th write to the registry,
``["seconds", s]`` from outside after that time, and ``["never", 0]`` not at all. Each moment gets a folder of its own. The processes are
forks of this one, so that a kill costs no start of Python; this one opens nothing.
"""

import importlib
import json
import os
import pkgutil
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import evolve

import mlops_core.config
import mlops_core.deployment
import mlops_core.drift
import mlops_core.pipeline
import mlops_core.stack
import mlops_registry_sql
from mlops_core.clock import SystemClock
from mlops_core.deployment import ModelDeployment, desk
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.provenance import environment_link
from mlops_core.records import PipelineStatus
from mlops_core.stack import Stack, locate
from mlops_core.versioning import ModelVersioning

WRITES = ("append", "put_artifact", "add_next_version")
MODEL = "delays"


def in_child(work: Callable[[], None]) -> int:
    """The process id of a fork that does the work and ends."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except Exception:  # noqa: BLE001  a fork must not go on where its parent is
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return child


def killing(stack: Stack, when: str, moment: int, written: Path) -> None:
    """Let this process die around its n-th write, and keep a list of them."""
    store: Any = stack.parts.registry
    count = 0

    def watched(name: str, write: Callable[..., Any]) -> Callable[..., Any]:
        def call(_: Any, *arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            with written.open("a") as stream:
                stream.write(f"{name} {arguments[1] if name == 'append' else ''} {arguments[3].kind if name == 'append' else ''}\n")
            if when == "before" and count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = write(*arguments, **named)
            if when == "after" and count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    for name in WRITES:
        setattr(type(store), name, watched(name, getattr(store, name)))


class ShortOfPatience(SystemClock):
    """Pauses between attempts are not what is tested."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.01))


def project(folder: Path) -> Stack:
    """The stack; a dead process holds an endpoint for as long as a lease, which is made short here."""
    vars(desk)["_LEASE"] = timedelta(seconds=0.3)
    return evolve(locate(folder), clock=ShortOfPatience())


def run(folder: Path, when: str, moment: float) -> None:
    """The run that is to die."""
    stack = project(folder)
    if when in {"before", "after", "never"}:
        killing(stack, when, int(moment), folder / "writes")
    MLOpsPipeline("flight_delays", stack=stack).run_pipeline(run_id="run-1")


def resume(folder: Path) -> None:
    """What is left of it, and what resuming it makes of that; told in ``told.json``."""
    stack = project(folder)
    pipeline = MLOpsPipeline("flight_delays", stack=stack)
    began = bool(pipeline.runs())
    left = pipeline.get_pipeline_status()
    before = calls(folder)
    over = left.status is PipelineStatus.FAILED  # it was rolled back, and is refused
    report = left if over else pipeline.run_pipeline(resume=began, run_id="run-1")
    deployment, places = ModelDeployment(stack=stack), list(stack.parts.environments)
    done = report.status is PipelineStatus.SUCCEEDED
    told = {
        "left": left.to_dict(),
        "before": before,
        "report": report.to_dict(),
        "calls": calls(folder),
        "versions": [one.version for one in ModelVersioning(stack=stack).list_versions(MODEL)],
        "deployments": {name: [str(one.status) for one in deployment.history(MODEL, name)] for name in places},
        "total": pipeline.output("total", "run-1") if done else None,
        "predicted": list(deployment.predict(MODEL, "production", {"x": [2.0]}).outputs["y"]) if places and done else [],
        "runs": [one.run_id for one in pipeline.runs()],
        "locks": sorted(path.name for path in (folder / ".mlops" / "locks").iterdir()),
    }
    (folder / "told.json").write_text(json.dumps(told))


def calls(folder: Path) -> list[str]:
    """Stages in the order in which they were run so far."""
    path = folder / "calls"
    return path.read_text().split() if path.exists() else []


def wait(child: int) -> int:
    """The exit status of a child; the negative signal if it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def one_moment(original: Path, folder: Path, when: str, moment: float) -> dict[str, Any]:
    """Kill, resume, tell."""
    shutil.copytree(original, folder)
    child = in_child(lambda: run(folder, when, moment))
    if when == "seconds":
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    ended = wait(child)
    resumed = wait(in_child(lambda: resume(folder)))
    told = json.loads((folder / "told.json").read_text()) if resumed == 0 else {}
    writes = (folder / "writes").read_text().splitlines() if (folder / "writes").exists() else []
    return {"when": when, "moment": moment, "ended": ended, "resumed": resumed, "writes": writes, **told}


def load_libraries() -> None:
    """What the forks would otherwise each import for themselves."""
    names = ("json_format", "inline_executor", "process_executor")
    for name in [f"mlops_core.builtin.{one}" for one in names] + ["cattrs", "numpy.random", "ruamel.yaml", "sqlalchemy.dialects.sqlite"]:
        importlib.import_module(name)
    for package in (mlops_core.pipeline, mlops_core.drift, mlops_core.deployment, mlops_core.stack, mlops_core.config, mlops_registry_sql):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    environment_link()


def main(original: Path, moments: Sequence[tuple[str, float]]) -> None:
    """One line of JSON per moment."""
    load_libraries()
    for number, (when, moment) in enumerate(moments):
        began = time.monotonic()
        told = one_moment(original, original.with_name(f"{original.name}-{number}"), when, moment)
        sys.stdout.write(json.dumps({**told, "seconds": time.monotonic() - began}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), json.loads(sys.argv[2]))
