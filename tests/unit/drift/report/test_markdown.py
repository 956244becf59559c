"""Markdown: every comparison, and nothing of the data is obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mlops_core.drift import DataDrift, DriftDetector


def test_every_comparison_is_a_row(drift: DataDrift) -> None:
    told = drift.to_markdown()
    assert len([line for line in told.splitlines() if line.startswith("|")]) == 2 + len(drift.outcomes)
    assert "- **delay**: Median" in told
    assert "Columns in the reference only: gone." in told


def test_nothing_of_the_data_is_obeyed(drift: DataDrift) -> None:
    told = drift.to_markdown()
    assert "\\<script\\>" in told
    assert "**b**" not in told


def test_nothing_found_is_said_too(detector: DriftDetector) -> None:
    rng = np.random.default_rng(1)
    told = detector.detect_data_drift(rng.normal(size=200), rng.normal(size=200)).to_markdown()
    assert told.startswith("**No drift in 2 comparisons")
    assert "- **" not in told
