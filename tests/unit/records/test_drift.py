"""What a drift test answers."""

from __future__ import annotations

import pytest
from attrs.exceptions import FrozenInstanceError

from mlops_core.records import TestOutcome


def test_an_outcome_is_a_frozen_record() -> None:
    outcome = TestOutcome(0.6, 0.03, 0.6, "exact", 5, 7)
    assert outcome["p_value"] == outcome.p_value == 0.03
    assert TestOutcome.from_dict(outcome.to_dict()) == outcome
    with pytest.raises(FrozenInstanceError):
        outcome.p_value = 0.5  # type: ignore[misc]  # trying is the point
