"""The two ways a serving process is run: under a supervisor, or alone in the foreground."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey
from mlops_deployer_local.app import App, Limits
from mlops_deployer_local.listening import address_of, bind
from mlops_deployer_local.metrics import Metrics
from mlops_deployer_local.runner import Pace
from mlops_deployer_local.state import server_folder
from mlops_deployer_local.worker import Worker

if TYPE_CHECKING:
    from mlops_core.roles import ServingHost
    from mlops_deployer_local.deployer import LocalDeployer

__all__ = ["serve_alone", "serve_under"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")


def _worker(options: LocalDeployer, host: ServingHost, metrics: Metrics, listener: socket.socket) -> Worker:
    app = App(host, metrics.environment, Limits(options.body_limit, options.request_timeout), metrics=metrics)
    pace = Pace(options.threads, options.batch, options.deadline, options.backlog)
    return Worker(host, app, pace, options.keep_alive, options.patience, listener)


async def serve_under(options: LocalDeployer, host: ServingHost, environment: str, control: int, listener: int) -> None:
    """Do what the supervisor at the socket ``control`` says, on the socket ``listener``."""
    listening = socket.socket(fileno=listener)
    metrics = Metrics(host, environment, server_folder(host.workdir))
    await _worker(options, host, metrics, listening).run(socket.socket(fileno=control))


async def serve_alone(options: LocalDeployer, host: ServingHost, environment: str, name: str) -> None:
    """Serve one version, ``tenant/model/version``, with all requests routed to it, until SIGTERM or SIGINT.

    Raises:
        DeploymentError: It does not load, or the port is taken.
    """
    tenant, model, version = name.split("/")
    endpoint = EndpointKey(tenant, environment, model)
    try:
        listening = bind(options.host, options.port)
    except OSError as error:
        raise DeploymentError(f"environment {environment}: port {options.port} cannot be taken ({error.strerror})") from error
    worker = _worker(options, host, Metrics(host, environment), listening)
    if fault := await worker.load(endpoint, version):
        raise DeploymentError(f"environment {environment}: {fault}")
    route = {"name": f"1-{version}", "version": version, "weight": 1.0}
    worker.apply({"endpoints": {f"{tenant}/{model}": {"revision": 1, "routes": [route], "loaded": [version]}}})
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    worker.accept()
    _LOG.info("model %s %s is served at %s", model, version, address_of(options.host, listening.getsockname()[1]))
    await ended.wait()
    await worker.drain()
