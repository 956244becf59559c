"""One project, one stack, every facade on it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Self

from mlops_core.exceptions import ConfigError
from mlops_core.stack import locate, release

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    from mlops_core.config.settings import Settings
    from mlops_core.deployment import ModelDeployment
    from mlops_core.drift import DriftDetector
    from mlops_core.mlops_pipeline import MLOpsPipeline
    from mlops_core.monitoring import ModelMonitoring
    from mlops_core.stack import Stack
    from mlops_core.tracking import ExperimentTracker
    from mlops_core.versioning import ModelVersioning

__all__ = ["Project"]


class Project:
    """A project's facades, each built at its first use, all on one stack and one tenant. A context manager that closes them.

    Open one with ``Project.open``.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack: Stack | None = stack
        self._facades: dict[str, Any] = {}
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None, profile: str | None = None, tenant_id: str | None = None) -> Self:
        """Compose the stack of a project as its files say now; nothing is opened before a facade is used.

        Args:
            path: The configuration file or its folder; None: ``MLOPS_PROJECT``, the nearest ``mlops.yaml``, else the embedded default.
            profile: An overlay, ``mlops.<profile>.yaml`` beside the file.
            tenant_id: The tenant; None for the project's.

        Raises:
            ConfigError: One line for each mistake in the configuration.
        """
        return cls(locate(path, profile, tenant_id))

    @property
    def stack(self) -> Stack:
        """What every facade stands on; raises ``ConfigError`` once the project is closed."""
        if self._stack is None:
            raise ConfigError("project: it is closed - open it again with Project.open")
        return self._stack

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return self.stack.settings

    @property
    def tracker(self) -> ExperimentTracker:
        """Experiment tracking."""
        from mlops_core.tracking import ExperimentTracker

        return self._facade("tracker", lambda: ExperimentTracker(stack=self.stack))  # type: ignore[no-any-return]

    @property
    def versioning(self) -> ModelVersioning:
        """The model registry."""
        from mlops_core.versioning import ModelVersioning

        return self._facade("versioning", lambda: ModelVersioning(stack=self.stack))  # type: ignore[no-any-return]

    @property
    def deployment(self) -> ModelDeployment:
        """Deployments."""
        from mlops_core.deployment import ModelDeployment

        return self._facade("deployment", lambda: ModelDeployment(stack=self.stack))  # type: ignore[no-any-return]

    @property
    def monitoring(self) -> ModelMonitoring:
        """Monitoring."""
        from mlops_core.monitoring import ModelMonitoring

        return self._facade("monitoring", lambda: ModelMonitoring(stack=self.stack))  # type: ignore[no-any-return]

    @property
    def drift(self) -> DriftDetector:
        """Drift detection."""
        from mlops_core.drift import DriftDetector

        return self._facade("drift", lambda: DriftDetector(stack=self.stack))  # type: ignore[no-any-return]

    def pipeline(self, name: str | None = None) -> MLOpsPipeline:
        """The configured pipeline, or one of another name with the same stages."""
        from mlops_core.mlops_pipeline import MLOpsPipeline

        configured = self.settings.pipeline
        usual = configured.name if configured else self.settings.project
        return MLOpsPipeline(usual if name is None else name, stack=self.stack)

    def _facade(self, name: str, build: Callable[[], Any]) -> Any:
        with self._lock:
            if name not in self._facades:
                self._facades[name] = build()
            return self._facades[name]

    def close(self) -> None:
        """Close every facade that was used, and every backend, unless somebody else uses the project in this process. Idempotent."""
        with self._lock:
            facades, self._facades = list(self._facades.values()), {}
            stack, self._stack = self._stack, None
        with contextlib.ExitStack() as closing:  # all of it, even if one of them raises
            if stack is not None:
                closing.callback(release, stack)
            for facade in facades:
                if hasattr(facade, "close"):
                    closing.callback(facade.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
