"""What projects, runs and artifacts are called in W&B, which has rules of its own."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mlops_core.records import RunKey

__all__ = ["collection_name", "labels", "project_name", "run_name"]

_LONGEST_PROJECT: Final = 128
_LONGEST_RUN: Final = 64
_LONGEST_LABEL: Final = 64
_SEPARATOR: Final = "~"  # in no name of ours, so that two pairs of names never make one
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9._-]")


def project_name(tenant: str, experiment: str) -> str:
    """The project of an experiment where the configuration names none: ``TENANT~EXPERIMENT``."""
    name = f"{tenant}{_SEPARATOR}{experiment}"
    return name if len(name) <= _LONGEST_PROJECT else f"{name[:100]}{_SEPARATOR}{_digest(name)}"


def run_name(run: RunKey) -> str:
    """The id of a run in W&B, whose service knows a run by nothing else: ours and a mark of tenant and experiment."""
    mark = _digest(f"{run.tenant}{_SEPARATOR}{run.experiment}")
    own = run.run_id if len(run.run_id) + len(mark) < _LONGEST_RUN else f"{run.run_id[:40]}-{_digest(run.run_id)}"
    return f"{own}-{mark}"


def collection_name(artifact: str) -> str:
    """The name of an artifact, which W&B allows no ``/`` and no spaces."""
    plain = _FOREIGN.sub("-", artifact)
    return artifact if plain == artifact and len(artifact) <= _LONGEST_PROJECT else f"{plain[:100]}-{_digest(artifact)}"


def labels(tags: dict[str, str]) -> tuple[str, ...]:
    """Tags as W&B knows them, single words of up to 64 characters: ``key:value``. Longer ones are in the run's config only."""
    words = (f"{key}:{value}" for key, value in tags.items())
    return tuple(word for word in words if len(word) <= _LONGEST_LABEL)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
