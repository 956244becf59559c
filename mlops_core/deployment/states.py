"""The states of a deployment and the edges between them: one table, for every backend."""

from __future__ import annotations

from typing import Final

from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S

__all__ = ["EDGES", "ON_ITS_WAY", "ROUTED", "TERMINAL", "check_edge"]

_BACK: Final = frozenset({S.ROLLING_BACK, S.ROLLED_BACK, S.ROLLBACK_FAILED})

EDGES: Final = {
    S.PENDING: _BACK | {S.LOADING, S.FAILED},
    S.LOADING: _BACK | {S.WARMING, S.FAILED},
    S.WARMING: _BACK | {S.READY, S.FAILED},
    S.READY: _BACK | {S.SHADOW, S.CANARY, S.PROMOTING, S.FAILED},
    S.SHADOW: _BACK | {S.CANARY, S.PROMOTING},
    S.CANARY: _BACK | {S.CANARY, S.PAUSED, S.PROMOTING},
    S.PAUSED: _BACK | {S.CANARY, S.PROMOTING},
    S.PROMOTING: _BACK | {S.LIVE},
    S.LIVE: _BACK | {S.DRAINING},
    S.DRAINING: _BACK | {S.LIVE, S.RETIRED},
    S.ROLLING_BACK: frozenset({S.ROLLED_BACK, S.ROLLBACK_FAILED}),
    S.ROLLBACK_FAILED: frozenset({S.ROLLING_BACK, S.ROLLED_BACK, S.ROLLBACK_FAILED}),
    S.ROLLED_BACK: frozenset[S](),
    S.RETIRED: frozenset[S](),
    S.FAILED: frozenset[S](),
}
"""What may follow a state. Every state that is not terminal can be rolled back; a superseded one that is still warm can serve again."""

TERMINAL: Final = frozenset(state for state, following in EDGES.items() if not following)
"""States that are never left."""

ON_ITS_WAY: Final = frozenset(EDGES) - TERMINAL - {S.LIVE, S.DRAINING}
"""States of a deployment that somebody has yet to finish; an endpoint has one such deployment at most."""

ROUTED: Final = frozenset({S.SHADOW, S.CANARY, S.PAUSED, S.PROMOTING, S.LIVE})
"""States in which a deployment may take requests, or copies of them."""


def check_edge(name: str, source: S, target: S) -> None:
    """Refuse a change of state that the table does not have.

    Raises:
        DeploymentError: Naming the deployment, both states, and what may follow.
    """
    if target not in EDGES[source]:
        following = ", ".join(sorted(EDGES[source])) or "nothing"
        raise DeploymentError(f"deployment {name}: cannot go from {source} to {target} - from {source} it may go to: {following}")
