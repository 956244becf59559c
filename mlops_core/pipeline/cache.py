"""``cache: true``: the outputs of a stage that ran before with the same options, code and inputs are used again."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from mlops_core.exceptions import ArtifactError, PipelineError
from mlops_core.journal import Journal
from mlops_core.pipeline.condition import metrics_of
from mlops_core.pipeline.fingerprint import option_digests
from mlops_core.pipeline.state import kept_of, patch_of, result_of
from mlops_core.records import NewEntry, StageResult, digest_of
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlops_core.pipeline.plan import Step
    from mlops_core.records import ArtifactRef

__all__ = ["StageCache", "code_digest"]

_FORMAT: Final = 2
_CORE: Final = "motadata-mlops-core"
_LOOKS_BACK: Final = "looks_back"


@define(eq=False)
class StageCache:
    """Results by what made them, each a journal ``caches/{pipeline}/{digest}``, so that they are shared by every process."""

    stack: Stack
    pipeline: str

    def key(self, step: Step, inputs: Mapping[str, ArtifactRef]) -> str:
        """sha256 of everything that the outputs follow from.

        Raises:
            PipelineError: An option or the code has no digest.
        """
        settings = self.stack.settings.pipeline
        return digest_of(
            {
                "format": _FORMAT,
                "stage": step.name,
                "code": code_digest(step.stage),
                "options": option_digests(step.stage, self.stack.root),
                "outputs": list(step.outputs),
                "inputs": {name: ref.sha256 for name, ref in inputs.items()},
                "seed": settings.seed if settings is not None else 0,
                "model": settings.model if settings is not None else "",
            }
        )

    def find(self, key: str, earlier: Sequence[StageResult]) -> StageResult | None:
        """The result of an earlier run, if there is one and its outputs are still in the store.

        A stage that looked back at what ``earlier`` ones left is found only where they left the same.
        """
        entry = self._journal(key).head().entry
        if entry is not None and entry.kind == _LOOKS_BACK:
            entry = self._journal(_beyond(key, earlier)).head().entry
        if entry is None:
            return None
        result = result_of(entry.change)
        try:
            for ref in result.outputs.values():
                for file in ref.files:
                    self.stack.parts.registry.open_artifact(self.stack.tenant, file.blob).close()
        except ArtifactError:
            return None
        return result

    def put(self, key: str, result: StageResult, earlier: Sequence[StageResult]) -> None:
        """Keep a result for later runs."""
        now = self.stack.clock.now()
        place = _beyond(key, earlier) if result.looked_back else key
        self._journal(place).append(NewEntry(now, "cached", change=patch_of(kept_of(result))))
        if result.looked_back:
            self._journal(key).append(NewEntry(now, _LOOKS_BACK))

    def _journal(self, key: str) -> Journal:
        return Journal(self.stack.parts.registry, self.stack.tenant, f"caches/{self.pipeline}/{key}")


def _beyond(key: str, earlier: Sequence[StageResult]) -> str:
    """The key of a stage that looked back: what earlier stages made and measured belongs to it."""
    outputs = {f"{one.stage}.{name}": ref.sha256 for one in earlier for name, ref in one.outputs.items()}
    metrics = {name: repr(value) for name, value in metrics_of(earlier).items()}  # JSON has no NaN
    return digest_of({"key": key, "outputs": outputs, "metrics": metrics})


def code_digest(stage: Any) -> str:
    """sha256 of the code behind a stage: the file that defines it, or every module of its package and its release; and the core's release.

    Raises:
        PipelineError: It was typed into an interpreter and has no file.
    """
    subject = getattr(type(stage), "__wrapped__", type(stage))
    module = sys.modules.get(subject.__module__)
    source = Path(getattr(module, "__file__", None) or "")
    if not source.is_file():
        raise PipelineError(f"cache: the code of {subject.__qualname__} is in no file, so a change would go unnoticed - put it in a module")
    package = str(getattr(module, "__package__", "") or "")
    files = sorted(source.parent.rglob("*.py")) if package else [source]
    digest = hashlib.sha256("\0".join([*_releases(package), subject.__qualname__]).encode())
    for path in files:
        digest.update(f"\0{path.relative_to(source.parent).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _releases(package: str) -> list[str]:
    """The core's, and that of the distribution which a package comes from, if any does."""
    owners = _owners(tuple(sys.path)).get(package.partition(".")[0], ()) if package else ()
    return [f"{name} {importlib.metadata.version(name)}" for name in sorted({_CORE, *owners})]


@functools.lru_cache(maxsize=1)
def _owners(_path: tuple[str, ...]) -> Mapping[str, Sequence[str]]:
    """Distributions by their packages, read once for a path: what each consists of takes a large part of a second."""
    return importlib.metadata.packages_distributions()
