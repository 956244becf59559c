"""One prediction: from the body of a request to its answer, counted and sampled."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from mlops_core.records.routing import pick, share_of
from mlops_core.roles import Recorder
from mlops_deployer_local.answers import Answer, Headers, Reply, ServerFaultError, told
from mlops_deployer_local.bodies import Form, dump, parse
from mlops_deployer_local.models import Model, Table, one_line
from mlops_deployer_local.runner import Columns, DeadlineError, Job, OverloadError
from mlops_deployer_local.schema import BadRequestError

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from mlops_core.records import Variant

__all__ = ["predict"]

_RETRY: Final = (b"retry-after", b"1")


def predict(table: Table, form: Form, headers: Mapping[bytes, bytes], body: bytes, rng: random.Random, reply: Reply) -> None:
    """Read a request, choose a version and have it predict; ``reply`` is called later.

    Raises:
        BadRequestError: The request is not one.
        ServerFaultError: The version is not loaded, or takes no more.
    """
    within = _within(headers.get(b"x-mlops-timeout"))
    begun = time.perf_counter()
    unit = headers.get(b"x-mlops-unit")
    version = _chosen(table.variants, unit, rng)
    recorder = table.recorders[version]
    named: Headers = ((b"x-mlops-version", version.encode()),)
    model = table.models.get(version)
    if model is None:
        recorder.count(time.perf_counter() - begun, False, "NotLoaded", table.failed_before(unit))
        raise ServerFaultError(f"model {table.endpoint.model}: version {version} is not loaded", 503, named)
    # Unique, but no secret: what the system gives for secrets costs a call of it each time.
    prediction = f"{rng.getrandbits(128):032x}"
    try:
        model.runner.check(len(body))  # before it is read: to refuse has to cost nothing
    except OverloadError as error:
        recorder.count(time.perf_counter() - begun, False, type(error).__name__, table.failed_before(unit))
        recorder.failed(prediction, {}, type(error).__name__)
        said = f"model {table.endpoint.model}: version {version} takes no more now: {error} - try again later"
        raise ServerFaultError(said, 503, (*named, _RETRY)) from error
    request = parse(body)
    columns = form.read(request, model.version.schema)
    _Prediction(prediction, begun, table, form, request, len(body), columns, unit, model, recorder, named, reply).begin(within)


@define(eq=False)
class _Prediction:
    """A prediction on its way; the body had ``size`` bytes."""

    id: str
    begun: float
    table: Table
    form: Form
    request: dict[str, Any]
    size: int
    columns: Columns
    unit: bytes | None
    model: Model
    recorder: Recorder
    named: Headers
    reply: Reply | None
    patience: asyncio.TimerHandle | None = None

    def begin(self, within: float | None) -> None:
        """Have it predicted; the client waits ``within`` seconds at most."""
        job = self.model.runner.submit(self.columns, self._settle, self.size)
        if within is not None:
            self.patience = asyncio.get_running_loop().call_later(within, self._leave, job)

    def _leave(self, job: Job) -> None:
        """The client waits no longer, which says nothing of the version: what has begun is counted as it ends, the rest is not."""
        self.patience = None
        self.model.runner.leave(job)
        self._answer(self._failure(DeadlineError()))

    def _settle(self, outputs: Columns | None, error: BaseException | None) -> None:
        """Answer, whatever the end was."""
        if self.patience is not None:
            self.patience.cancel()
        try:
            answer = self._ended(outputs, error)
        except Exception as odd:  # noqa: BLE001  whatever it is, the client hears of it as of everything else
            answer = told(odd)
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        reply, self.reply = self.reply, None
        if reply is not None:
            reply(answer)

    def _lose(self, error: BaseException) -> None:
        """Count it as a failure of its version."""
        kind = type(error).__name__
        self.recorder.count(time.perf_counter() - self.begun, False, kind, self.table.failed_before(self.unit))
        self.recorder.failed(self.id, self.columns, kind)
        self._keep({})

    def _ended(self, outputs: Columns | None, error: BaseException | None) -> Answer:
        if outputs is not None:
            try:
                answer = dump(self.form.write(self.request, self.model.version, outputs, self.id))
            except Exception as odd:  # noqa: BLE001  JSON has no form for what the model answered
                error = odd
            else:
                self.recorder.count(time.perf_counter() - self.begun, True)
                self._keep(outputs)
                self.table.copy(self.form, self.request, self.id, self.size)
                return Answer(200, answer, (*self.named, (b"x-mlops-prediction-id", self.id.encode())))
        error = error or ValueError("it gave nothing")
        self._lose(error)
        self.table.copy(self.form, self.request, self.id, self.size)
        return self._failure(error)

    def _failure(self, error: BaseException) -> Answer:
        late = isinstance(error, DeadlineError)
        what = "took too long - ask for fewer rows, or for more time" if late else f"failed: {one_line(error)}"
        said = f"model {self.table.endpoint.model}: version {self.model.version.version} {what}"
        return ServerFaultError(said, 504 if late else 500, self.named).answer

    def _keep(self, outputs: Columns) -> None:
        if self.recorder.wants(self.id, len(next(iter(self.columns.values()), ()))):
            self.recorder.sample(self.id, self.columns, outputs)


def _chosen(variants: Sequence[Variant], unit: bytes | None, rng: random.Random) -> str:
    if len(variants) == 1:
        return variants[0].version
    return pick(variants, rng.random() if unit is None else share_of(unit.decode("latin-1"), variants)).version


def _within(said: bytes | None) -> float | None:
    """Seconds that the client waits at most."""
    if said is None:
        return None
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise BadRequestError("X-MLOps-Timeout is no number of seconds above zero - give one such as 0.5", 400)
    return seconds
