"""The facade of pipelines, and the names of their stages."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mlops_core.exceptions import MLOpsError, PipelineError, StageError
from mlops_core.names import check_name
from mlops_core.records import PipelineStatus, RunReport, StageStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mlops_core.pipeline.catalog import Catalog, Registered
    from mlops_core.pipeline.launch import Launch
    from mlops_core.records import Record, StageResult
    from mlops_core.stack import Stack

__all__ = ["MLOpsPipeline", "PipelineStage"]

T = TypeVar("T")


class PipelineStage:
    """Names of stages. The set is open: derive from it, or use any name.

    ``class CustomPipelineStage(PipelineStage): CUSTOM_STAGE = "custom_stage"`` adds one.
    """

    DATA_COLLECTION: Final = "data_collection"
    DATA_PREPROCESSING: Final = "data_preprocessing"
    TRAINING: Final = "training"
    VALIDATION: Final = "validation"
    DEPLOYMENT: Final = "deployment"
    MONITORING: Final = "monitoring"


class MLOpsPipeline:
    """Runs stages in order, passes their outputs on by name, and remembers each transition, so that any process can tell or resume a run.

    The stages are those of the configuration; ``stage`` and ``add_stage`` add to them or replace them for this object. Thread-safe.

    Args:
        name: The pipeline's name, under which its runs are found.
        tenant_id: The tenant; None for the project's.
        stack: The stack to stand on; None: that of the project (see ``mlops_core.stack.locate``).

    Raises:
        PipelineError: From every method; one line for each mistake.
    """

    def __init__(self, name: str, tenant_id: str | None = None, *, stack: Stack | None = None) -> None:
        self.name = check_name(name, "pipeline", PipelineError)
        self._registered: dict[str, Registered] = {}
        self._lock = threading.Lock()
        with _guarded():
            from mlops_core.stack import stack_for

            self._stack = stack_for(stack, tenant_id)

    @property
    def tenant_id(self) -> str:
        """The tenant whose runs these are."""
        return self._stack.tenant

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that ``run_pipeline()`` runs."""
        return self._catalog().names()

    # -- stages

    def stage(self, name: str, **settings: Any) -> Callable[[T], T]:
        """Register a function or a class as a stage; the decorated object stays what it is.

        Args:
            name: The stage's name; one that is there already is replaced.
            settings: Keys of the core as in the configuration (``inputs``, ``outputs``, ``retries``, ``timeout``, ``when``, ``on_failure``,
                ``cache``, ``executor``), and options of the stage.
        """

        def register(implementation: T) -> T:
            self.add_stage(name, implementation, **settings)
            return implementation

        return register

    def add_stage(self, name: str, implementation: Any, **settings: Any) -> None:
        """The same without a decorator; a ``Stage`` object is taken as well."""
        from mlops_core.pipeline.catalog import Registered

        checked = check_name(name, "stage", PipelineError)
        with _guarded():
            registered = Registered.of(checked, implementation, settings)
        with self._lock:
            self._registered[checked] = registered

    # -- runs

    def run_pipeline(
        self,
        stages: Sequence[str] | None = None,
        *,
        run_id: str | None = None,
        resume: bool = False,
        inputs: Mapping[str, Any] | None = None,
        listen: Callable[[Record], None] | None = None,
    ) -> RunReport:
        """Run stages in the order given; a failing stage ends in the report, not in an exception.

        Args:
            stages: Names; None: all of them.
            run_id: An id of one's own, or which run to resume; None: a new one, or the newest.
            resume: Go on with a run that failed, is held or was interrupted. Stages that succeeded do not run again. A run that succeeded
                is answered as it is; without any run a new one begins.
            inputs: Values by name, there before the first stage.
            listen: Called with every lifecycle event and with each ``StageProgress`` of stages in this process.

        Returns:
            The run: ``report.status``, also ``report["status"]``; ``report.error`` is one line.

        Raises:
            PlanError: The plan or an argument is wrong; nothing ran.
            PipelineError: Another process runs this run, or the registry failed.
        """
        with _guarded():
            return self._launch(listen).resume(stages, run_id, inputs) if resume else self._launch(listen).start(stages, run_id, inputs)

    def run_stage(
        self,
        name: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        of_run: str | None = None,
        listen: Callable[[Record], None] | None = None,
    ) -> StageResult:
        """Run one stage, as a run of its own.

        Args:
            name: The stage.
            inputs: Values by name. What is not given comes from ``of_run``, metrics of its stages included.
            of_run: The run to build on; None: the newest of the pipeline, if there is one.
            listen: As for ``run_pipeline``.

        Raises:
            StageError: The stage failed; what it raised is the cause.
            PipelineError: It cannot be run at all.
        """
        with _guarded():
            launch = self._launch(listen)
            result = launch.single(name, inputs, of_run)
        if result.status is StageStatus.FAILED:
            raise StageError(result.error or f"stage {name!r} failed") from launch.cause
        return result

    def get_pipeline_status(self, run_id: str | None = None) -> RunReport:
        """A run as it stands, whichever process runs it: the newest, or the one named. Without any run: ``not_started``."""
        with _guarded():
            found = self._launch().report(run_id)
        return found or RunReport(self.name, self.tenant_id, "", PipelineStatus.NOT_STARTED, ())

    def runs(self, limit: int | None = None) -> tuple[RunReport, ...]:
        """Runs of the pipeline, newest first."""
        with _guarded():
            return tuple(self._launch().reports(limit))

    def output(self, name: str, run_id: str | None = None) -> Any:
        """The value of an output, named by itself, by its stage or as ``stage.output``, of the newest run or the one named."""
        with _guarded():
            return self._launch().output(name, run_id)

    def check(self) -> tuple[str, ...]:
        """Everything that is wrong with the plan, one line each; runs nothing and connects to nothing."""
        from mlops_core.pipeline.plan import make_plan

        try:
            with _guarded():
                make_plan(self._catalog())
        except PipelineError as error:
            return tuple(error.message.split("\n"))
        return ()

    def _catalog(self) -> Catalog:
        from mlops_core.pipeline.catalog import Catalog

        with self._lock:
            return Catalog(self._stack, dict(self._registered))

    def _launch(self, listen: Callable[[Record], None] | None = None) -> Launch:
        from mlops_core.pipeline.launch import Launch

        return Launch(self._stack, self.name, self._catalog(), listen)


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Whatever another part raises leaves as one ``PipelineError``."""
    try:
        yield
    except PipelineError:
        raise
    except MLOpsError as error:
        raise PipelineError(error.message) from error
