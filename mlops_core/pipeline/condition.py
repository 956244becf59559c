"""``when``: a condition over metrics that earlier stages logged, in the grammar of every filter.

``roc_auc >= 0.7 and not rows < 1000``; where two stages log one name, ``training.roc_auc`` names the stage's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from mlops_core.exceptions import PipelineError
from mlops_core.query import PREFIXES, parse
from mlops_core.records import And, Comparison, Not, Or, Query, Record, StageResult, StageStatus
from mlops_core.structure import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.records import Condition

__all__ = ["When", "metrics_of"]

_QUALIFIED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[A-Za-z_][\w\-/]*(?:\.[\w\-/]+)+")


@frozen
class When(Record):
    """A parsed condition; ``text`` as it was written."""

    text: str
    query: Query

    @classmethod
    def parse(cls, text: str, stages: Sequence[str] = ()) -> When:
        """Read a condition; ``stages`` are those whose names may stand before a metric.

        Raises:
            PipelineError: It does not follow the grammar, or asks for anything but metrics.
        """
        try:
            query = parse(_qualify(text, stages), default="metrics", error=PipelineError)
        except PipelineError as error:
            raise PipelineError(error.message.replace("filter:", "when:", 1)) from error
        if query.where is None or query.order_by:
            raise PipelineError(f"when: {text!r} is no condition - write one such as 'roc_auc >= 0.7'")
        for name in _fields(query.where):
            if not name.startswith("metrics."):
                raise PipelineError(f"when: {name} is no metric - compare metrics that earlier stages log, such as 'roc_auc >= 0.7'")
        return cls(text, query)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics that it asks for."""
        where = self.query.where
        return () if where is None else tuple(dict.fromkeys(name.removeprefix("metrics.") for name in _fields(where)))

    def holds(self, earlier: Sequence[StageResult]) -> bool:
        """Whether it is true of what the earlier stages logged.

        Raises:
            PipelineError: No stage logged one of its metrics: silence would skip a stage for a misspelt name.
        """
        found = metrics_of(earlier)
        for name in self.names:
            if name not in found:
                raise PipelineError(f"when: no earlier stage logged the metric {name!r} - {nearest(name, found, 'they logged')}")
        return self.query.matches({f"metrics.{name}": value for name, value in found.items()})


def metrics_of(results: Sequence[StageResult]) -> dict[str, float]:
    """Metrics of stages that succeeded: by name, where the later stage's counts, and by ``stage.name``."""
    done = [result for result in results if result.status is StageStatus.SUCCEEDED]
    found = {name: value for result in done for name, value in result.metrics.items()}
    return found | {f"{result.stage}.{name}": value for result in done for name, value in result.metrics.items()}


def _qualify(text: Any, stages: Sequence[str]) -> Any:
    """``training.roc_auc`` as the grammar wants it, ``metrics.training.roc_auc``; a prefix of the grammar stays one."""

    def replaced(match: re.Match[str]) -> str:
        first = match[0].partition(".")[0]
        return f"metrics.{match[0]}" if first in stages and first not in PREFIXES else match[0]

    return _QUALIFIED.sub(replaced, text) if isinstance(text, str) else text


def _fields(condition: Condition) -> Iterator[str]:
    match condition:
        case Comparison():
            yield condition.field
        case Not():
            yield from _fields(condition.term)
        case And() | Or():
            for term in condition.terms:
                yield from _fields(term)
