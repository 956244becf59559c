"""Pages: what changed is told, and nothing of the data is obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .conftest import Page

if TYPE_CHECKING:
    from mlops_core.drift import DataDrift, DriftDetector


def test_the_page_needs_nothing_else_and_obeys_nothing(drift: DataDrift) -> None:
    text = drift.to_html()
    page = Page(text)
    assert not {tag for tag, _ in page.seen} & {"script", "link", "img", "iframe"}
    assert not [value for _, given in page.seen for name, value in given.items() if name.startswith("on") or "://" in str(value)]
    assert "url(" not in text
    assert text.encode()


def test_the_page_tells_what_changed(drift: DataDrift) -> None:
    page = Page(drift.to_html())
    words = " ".join(page.words)
    assert "Drift in when" in words
    assert "New categories of carrier: B6." in words
    assert "Columns in the current data only: new." in words
    assert "spread (interquartile range) wider" in words
    assert "missing values" in words
    assert "B6 0 %" in words
    opened = [given["id"] for tag, given in page.seen if tag == "details" and "open" in given]
    assert len(opened) == len(drift.drifted_columns)
    assert {f"#{one}" for one in opened} <= {given.get("href") for tag, given in page.seen if tag == "a"}
    assert sum(tag == "svg" for tag, _ in page.seen) == 2 * len(drift.distributions)


def test_nothing_found_is_said_too(detector: DriftDetector) -> None:
    rng = np.random.default_rng(1)
    found = detector.detect_data_drift(rng.normal(size=200), rng.normal(size=200))
    assert not found.drift_detected
    assert "No drift in 2 comparisons of 200 reference and 200 current rows" in " ".join(Page(found.to_html()).words)


def test_a_notebook_shows_the_content_alone(drift: DataDrift) -> None:
    shown = drift._repr_html_()
    assert "<!doctype" not in shown
    assert "svg" in {tag for tag, _ in Page(shown).seen}
