"""Every error that the framework raises.

The tree::

    MLOpsError
    ├── ConfigError
    ├── PluginError
    │   ├── PluginNotFoundError
    │   └── CapabilityError
    ├── NameRuleError
    ├── QueryError
    ├── ConflictError
    ├── ArtifactError
    │   ├── CorruptArtifactError
    │   └── UntrustedFormatError
    ├── ExperimentError
    ├── VersioningError
    ├── DeploymentError
    ├── MonitoringError
    ├── DriftDetectionError
    └── PipelineError
        ├── PlanError
        ├── StageError
        └── StageTimeoutError

An error is one line: the component, the key or plugin, the cause and the remedy. A facade raises its own class only: a wrong type
in a call to the tracker is an ``ExperimentError``, and what a backend raised is its ``__cause__``. A message shows no secret of the
configuration, whoever worded it. ``bad_input`` tells a mistake of the caller or of the configuration, for which nothing was tried, from a
failure.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mlops_core.secrecy import mask

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ArtifactError",
    "CapabilityError",
    "ConfigError",
    "ConflictError",
    "CorruptArtifactError",
    "DeploymentError",
    "DriftDetectionError",
    "ExperimentError",
    "MLOpsError",
    "MonitoringError",
    "NameRuleError",
    "PipelineError",
    "PlanError",
    "PluginError",
    "PluginNotFoundError",
    "QueryError",
    "StageError",
    "StageTimeoutError",
    "UntrustedFormatError",
    "VersioningError",
    "checks_input",
]

P = ParamSpec("P")
T = TypeVar("T")


class MLOpsError(Exception):
    """Root of the tree; ``message`` is the one line that a person is shown."""

    _of_input = False

    def __init__(self, message: str) -> None:
        self.message = mask(message)
        super().__init__(self.message)

    @property
    def bad_input(self) -> bool:
        """Whether what the caller gave, or the configuration, is wrong; a facade's error is what its cause was."""
        cause = self.__cause__
        return self._of_input or (isinstance(cause, MLOpsError) and cause.bad_input)


def checks_input(function: Callable[P, T]) -> Callable[P, T]:
    """Mark what a function raises as bad input; for functions that only look at what a caller gave."""

    @functools.wraps(function)
    def checked(*args: P.args, **named: P.kwargs) -> T:
        try:
            return function(*args, **named)
        except MLOpsError as error:
            error._of_input = True  # noqa: SLF001  its own module
            raise

    return checked


class ConfigError(MLOpsError):
    """The configuration cannot be used. ``problems`` holds one line per mistake, the message all of them."""

    _of_input = True

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(map(mask, problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, ...]]:
        return type(self), self.problems


class PluginError(MLOpsError):
    """A plugin cannot be loaded, or breaks the contract of its role."""


class PluginNotFoundError(PluginError):
    """No installed distribution offers a plugin of that name."""

    _of_input = True


class CapabilityError(PluginError):
    """A backend does not declare what was asked of it."""


class NameRuleError(MLOpsError):
    """A tenant, model, version, experiment or stage breaks the name rule."""

    _of_input = True


class QueryError(MLOpsError):
    """A filter string does not follow the grammar."""

    _of_input = True


class ConflictError(MLOpsError):
    """Somebody else was first: a taken version, or a journal that has moved on to ``head``."""

    def __init__(self, message: str, *, head: int | None = None) -> None:
        super().__init__(message)
        self.head = head

    def __reduce__(self) -> tuple[object, ...]:
        return _conflict, (self.message, self.head)


def _conflict(message: str, head: int | None) -> ConflictError:
    return ConflictError(message, head=head)


class ArtifactError(MLOpsError):
    """An artifact cannot be written or read."""


class CorruptArtifactError(ArtifactError):
    """The bytes are not those that were registered."""


class UntrustedFormatError(ArtifactError):
    """Loading the file would run code, and ``models.trust`` does not name its format."""


class ExperimentError(MLOpsError):
    """Experiment tracking failed."""


class VersioningError(MLOpsError):
    """The model registry refused or failed."""


class DeploymentError(MLOpsError):
    """A deployment was refused or failed."""


class MonitoringError(MLOpsError):
    """Monitoring was given something it cannot count, or cannot be read."""


class DriftDetectionError(MLOpsError):
    """A drift check cannot be made of this data; ``discreet`` is the message without the value that it shows, if it shows one."""

    discreet: str = ""


class PipelineError(MLOpsError):
    """A pipeline cannot run, or one of its stages failed."""


class PlanError(PipelineError):
    """What is asked of a pipeline cannot be: a stage, a name or a value is wrong. Nothing ran."""

    _of_input = True


class StageError(PipelineError):
    """A stage raised; the cause is chained."""


class StageTimeoutError(PipelineError):
    """A stage passed its deadline and was ended."""
