"""One request to an endpoint, whose server is started if it crashed."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from mlops_core.deployment.arguments import check_timeout
from mlops_core.deployment.client import Client
from mlops_core.deployment.guard import one_line
from mlops_core.deployment.reconcile import reconcile
from mlops_core.exceptions import ConflictError, DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mlops_core.deployment.desk import Desk
    from mlops_core.records import EndpointKey, Prediction

__all__ = ["ask"]

_LOG: Final = logging.getLogger(__name__)


def ask(desk: Desk, lists: Mapping[str, Sequence[Any]], unit: str | None, timeout: Any) -> Prediction:
    """Send it in this process or by HTTP, as the deployer answers; ``timeout``: seconds to wait for the answer.

    Raises:
        DeploymentError: Nothing is deployed there, the columns do not fit, the model failed, or it did not answer in time.
    """
    key, patience = desk.endpoint, check_timeout(timeout)
    if desk.deployer.capabilities & {"in-process", "predict"}:
        import numpy as np

        arrays = {name: np.asarray(values) for name, values in lists.items()}
        seen = desk.deployer.observe(key) if "in-process" in desk.deployer.capabilities else None
        if seen is not None and not (seen.routes and {one.version for one in seen.routes} <= set(seen.loaded)):
            _revive(desk)
        return _within(patience, key, lambda: desk.deployer.predict(key, arrays, unit=unit))
    url = desk.deployer.observe(key).url
    if not url:
        raise DeploymentError(f"endpoint {key.environment}/{key.model}: nothing is deployed here - deploy a version first")
    client = Client(url, key.tenant, desk.tokens.of(key.tenant), patience)
    try:
        return client.predict(lists, unit=unit)
    except ConnectionRefusedError:
        _revive(desk)  # its server crashed or the machine was restarted: have it again
        return client.predict(lists, unit=unit)


def _within(seconds: float, key: EndpointKey, predict: Callable[[], Prediction]) -> Prediction:
    """The answer of a deployer that takes as long as it takes, whatever it waits for: nobody can end it, but nobody has to wait for it."""
    answer: Future[Prediction] = Future()
    context = copy_context()

    def run() -> None:
        try:
            answer.set_result(context.run(predict))
        except BaseException as error:  # noqa: BLE001  whoever waits is told
            answer.set_exception(error)

    threading.Thread(target=run, name=f"predict-{key.model}", daemon=True).start()
    if not wait([answer], min(seconds, threading.TIMEOUT_MAX)).done:
        raise DeploymentError(f"endpoint {key.environment}/{key.model}: no answer within {seconds:g} s - give it more time, or fewer rows")
    return answer.result()


def _revive(desk: Desk) -> None:
    """Have a server that crashed again: from what it keeps itself, so without the registry; else from the journal."""
    seen = desk.deployer.observe(desk.endpoint)
    try:
        if seen.routes:
            desk.deployer.set_routes(desk.endpoint, seen.routes, seen.shadow, seen.revision)
            return
    except (ConflictError, DeploymentError) as error:
        _LOG.info("endpoint %s: set again from the journal: %s", desk.endpoint.model, one_line(error))
    if desk.ledger.read().live is not None:
        with desk.alone(desk.timeout):
            reconcile(desk)
