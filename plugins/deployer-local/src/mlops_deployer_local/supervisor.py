"""The supervisor of one environment's server: holds the port and the state file, and keeps the crew.

Started as ``python -m mlops_deployer_local.supervisor FOLDER`` with its plan as JSON on standard input. It detaches, reports on standard
output once it serves what it served before, and loads nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import fcntl
import hmac
import json
import logging
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops_deployer_local.channel import LIMIT, RefusalError, answer_all
from mlops_deployer_local.counts import fold
from mlops_deployer_local.crew import Crew
from mlops_deployer_local.listening import listen
from mlops_deployer_local.member import Member, Plan, discard
from mlops_deployer_local.process import end_all, is_alive, started
from mlops_deployer_local.state import EndpointRoutes, ServerState, StateFile, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    Pair = tuple[str, str]

__all__ = ["Supervisor", "main"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_LOG_LIMIT: Final = 4 << 20


class Supervisor:
    """Answers the deployer's questions. ``changing`` guards the state for moments, ``loading`` the long loads."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.host = folder, plan.host
        self.state = StateFile(folder / "state.json")
        self.secret, self.since = secrets.token_hex(16), time.time()
        self.control = 0
        known = (read_json(folder / "server.json") or {}).get("workers", [])
        self.orphans = [(pid, begun) for pid, begun in known if is_alive((pid, begun))]
        self.listener = listen(plan.host, plan.port, self.state.now.port, shared=bool(self.orphans))
        self.ending = asyncio.Event()
        self._changing, self._loading = asyncio.Lock(), asyncio.Lock()
        self.crew = Crew(plan, self.listener, self.state, self._changing, self._note)

    async def run(self, report: int) -> None:
        """Serve what was served before, report it, and go on until told to end."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.ending.set)
        server = await asyncio.start_server(self._listen_to, "127.0.0.1", 0, limit=LIMIT)
        self.control = server.sockets[0].getsockname()[1]
        port = self.listener.getsockname()[1]
        self.state.change(lambda state: state.start(port))
        self._note()
        try:
            async with self._loading, self._changing:
                await self._restore()
            _say(report, {"port": port})
            await self.ending.wait()
        finally:
            server.close()
            self.listener.close()
            async with self._changing:  # who is about to join has joined by now, and who comes later sees that it is the end
                self.ending.set()
            await self.crew.dismiss()
            if self.orphans:
                self._note()  # they go on answering: the next supervisor has to know of them
            else:
                (self.folder / "server.json").unlink(missing_ok=True)

    async def _restore(self) -> None:
        """Serve what the state says, then end the processes that a supervisor left behind when it died."""
        plan = self.crew.plan
        if versions := self.state.now.versions():
            fresh = await self.crew.hire(plan, versions, plan.loading)
            self._admit(fresh)
            await self.crew.take_over(fresh, plan)
        await asyncio.to_thread(end_all, self.orphans, plan.patience)
        self.orphans = []
        self._note()

    # --- questions

    async def _listen_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer_all(reader, writer, self._answer)
        except* (ConnectionError, ValueError) as errors:
            _LOG.warning("supervisor: a question could not be read, or its answer not be heard: %s", errors.exceptions[0])
        finally:
            writer.close()

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._obey(question)
        except ConnectionError as error:
            raise RefusalError(f"a serving process died ({error}) - its log says more") from error

    async def _obey(self, question: dict[str, Any]) -> dict[str, Any]:
        if not hmac.compare_digest(str(question.get("secret")), self.secret):
            raise RefusalError("supervisor: this is not its secret")
        match question["op"]:
            case "load":
                await self._load((question["endpoint"], question["version"]), question["timeout"], Plan.of(question["plan"]))
            case "routes":
                wanted = EndpointRoutes(question["expected"] + 1, question["routes"], question["shadow"])
                return {"revision": await self._route(question["endpoint"], wanted)}
            case "unload":
                await self._unload(question["endpoint"], question["version"])
            case "health":
                return await self._health(question["endpoint"], question["version"])
            case "stop":
                self.state.change(ServerState.stop)
                self.ending.set()
        return {"ok": True}

    async def _load(self, pair: Pair, limit: float, plan: Plan) -> None:
        """Replace the crew by one that has the version too, and that is run as the newest plan says."""
        self._check_address(plan)
        async with self._loading:
            if plan == self.crew.plan and pair in self.state.now.versions() and self.crew.active and not self.crew.lacks([pair]):
                return
            wanted = list(dict.fromkeys([*self.state.now.versions(), pair]))
            fresh = await self.crew.hire(plan, wanted, limit, needed={pair})
            async with self._changing:
                if self.ending.is_set():
                    await discard(fresh)
                    raise RefusalError("the server was shut down meanwhile - call again to start it")
                kept = not self._lost(fresh)
                if kept:
                    await self._switch(pair, fresh, plan)
            if not kept:
                await discard(fresh)
                await self._load_beside(pair, limit, plan)

    async def _switch(self, pair: Pair, fresh: Sequence[Member], plan: Plan) -> None:
        known = pair in self.state.now.versions()
        self.state.change(lambda state: state.load(*pair))
        self._admit(fresh)
        try:
            await self.crew.take_over(fresh, plan)
        except BaseException:
            self.state.change(lambda state: state.forget([] if known else [pair]))
            raise

    async def _load_beside(self, pair: Pair, limit: float, plan: Plan) -> None:
        """Load into the processes that answer: they alone have a version that takes requests and loads no more.

        The fresh ones have shown that this version does no harm.
        """
        if plan != self.crew.plan:
            raise RefusalError(
                "the configuration has changed, and a version that takes requests no longer loads with it - the server's log says which"
            )
        known = pair in self.state.now.versions()
        self.state.change(lambda state: state.load(*pair))  # before it is there, or a change of routes would release it
        try:
            await self.crew.load_beside(pair, limit)
        except BaseException:
            self.state.change(lambda state: state.forget([] if known else [pair]))
            raise
        async with self._changing:
            await self.crew.sync()  # or it would stay where it was unloaded meanwhile

    def _lost(self, fresh: Sequence[Member]) -> set[Pair]:
        """Versions that take requests now and would not with these processes."""
        routed = self.state.now.routed()
        return {pair for pair in routed - self.crew.lacks(routed) if any(pair not in member.versions for member in fresh)}

    def _admit(self, fresh: Sequence[Member]) -> None:
        """Forget what these processes could not load and nothing needs."""
        versions = self.state.now.versions()
        lacking = [pair for pair in versions if any(pair not in member.versions for member in fresh)]
        self.state.change(lambda state: state.forget(lacking))

    def _check_address(self, plan: Plan) -> None:
        port = self.state.now.port
        if plan.host != self.host or plan.port not in {0, port}:
            wanted = f"{plan.host}, port {plan.port}" if plan.port else plan.host
            raise RefusalError(
                f"the server listens on {self.host}, port {port}, and the configuration says {wanted} - "
                "end it with `mlops deployments shutdown`, then deploy again"
            )

    async def _route(self, endpoint: str, wanted: EndpointRoutes) -> int:
        async with self._changing:
            one = self.state.now.endpoints.get(endpoint, EndpointRoutes())
            if (one.revision, one.routes, one.shadow) == (wanted.revision, wanted.routes, wanted.shadow):
                return one.revision  # asked again by somebody who did not hear the answer
            if one.revision != wanted.revision - 1:
                raise RefusalError(f"the routes are at revision {one.revision}, not {wanted.revision - 1}", "conflict", one.revision)
            lacking = {version for _, version in self.crew.lacks((endpoint, version) for version in wanted.routed())}
            if missing := sorted(wanted.routed() - set(one.loaded) | lacking):
                raise RefusalError(f"version {missing[0]} is not loaded - load it before it is routed")
            self.state.change(lambda state: state.route(endpoint, wanted))
            await self.crew.sync()
            return wanted.revision

    async def _unload(self, endpoint: str, version: str) -> None:
        async with self._changing:
            self.state.change(lambda state: state.unload(endpoint, version))
            await self.crew.sync()

    async def _health(self, endpoint: str, version: str) -> dict[str, Any]:
        answers = [await one.ask({"op": "health", "endpoint": endpoint, "version": version}) for one in self.crew.active]
        fault = next((one["fault"] for one in answers if one["fault"]), "")
        return {"loaded": bool(answers) and all(one["loaded"] for one in answers), "fault": fault}

    # --- what is kept

    def _note(self) -> None:
        own = {"pid": os.getpid(), "started": started(os.getpid()), "since": self.since, "control": self.control, "secret": self.secret}
        write_json(self.folder / "server.json", {**own, "port": self.state.now.port, "workers": [*self.crew.processes, *self.orphans]})
        kept = {pid for pid, _ in self.crew.processes}
        living = {(*name.split("/", 1), version) for name, version in self.state.now.versions()}
        try:
            fold(self.folder / "metrics", time.time(), kept=kept, living=living)
        except (OSError, ValueError) as error:
            _LOG.warning("supervisor: counts of ended processes stay in their files: %s", error)


def _say(report: int, answer: dict[str, Any]) -> None:
    os.write(report, json.dumps(answer).encode())
    os.close(report)


def _detach(folder: Path) -> int:
    """Go on as a process of its own; answers, there, where to report. The caller's process prints the report and ends."""
    heard, report = os.pipe()
    if os.fork():
        os.close(report)
        with os.fdopen(heard, "rb") as stream:
            sys.stdout.buffer.write(stream.read())
        sys.stdout.flush()
        os._exit(0)
    os.close(heard)
    os.setsid()
    path = folder / "server.log"
    begin = os.O_TRUNC if path.exists() and path.stat().st_size > _LOG_LIMIT else os.O_APPEND
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | begin, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)
    return report


def main() -> None:
    """Run a supervisor in the folder that the command line names."""
    folder = Path(sys.argv[1])
    plan = Plan.of(json.load(sys.stdin))
    report = _detach(folder)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    with (folder / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            supervisor = Supervisor(folder, plan)
        except BlockingIOError:
            _say(report, {"error": "another supervisor holds the lock"})
        except (OSError, ValueError, RefusalError) as error:
            _say(report, {"error": str(error)})
        else:
            asyncio.run(supervisor.run(report))


if __name__ == "__main__":
    main()
