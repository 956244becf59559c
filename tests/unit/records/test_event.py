"""Events are values: equal, frozen, and the same after JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from mlops_core.records import DeploymentChanged, EndpointKey, GateDecision, RunStarted, StageFinished, StageResult, StageStatus, Variant

AT = datetime(2024, 5, 1, tzinfo=UTC)
EVENTS = [
    RunStarted("acme", "p", "r", AT, ("a", "b")),
    StageFinished("acme", "p", "r", AT, StageResult("a", StageStatus.SKIPPED)),
    DeploymentChanged("acme", AT, "d", EndpointKey("acme", "staging", "m"), "live", (Variant("v", "1", 1.0),)),
    GateDecision(allow=False, reason="no"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_json_and_is_frozen(event: RunStarted) -> None:
    assert type(event).from_dict(event.to_dict()) == event
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(event, next(iter(event)), None)


@pytest.mark.parametrize("allow", ["no", 1, None])
def test_a_decision_is_a_truth_value(allow: Any) -> None:
    with pytest.raises(TypeError, match=r"^allow: expected True or False, got \w+ - write bool\(\.\.\.\)$"):
        GateDecision(allow=allow)
