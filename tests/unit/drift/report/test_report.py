"""Reports: what changed is told, and nothing of the data is obeyed."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mlops_core.drift.report.words import figure

if TYPE_CHECKING:
    from mlops_core.drift import DataDrift, DriftDetector

VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-10, 10), min_size=2, max_size=20)
HOSTILE = "<script>alert('x')</script>|**b**\x00\ud800"


@pytest.fixture
def drift(detector: DriftDetector) -> DataDrift:
    rng = np.random.default_rng(7)
    day = np.datetime64("2013-01-01")
    before = {
        "delay": rng.normal(10, 5, 400),
        "carrier": rng.choice(["AA", "DL", "UA"], 400, p=[0.6, 0.3, 0.1]),
        "hour": rng.integers(0, 24, 400),
        "when": day + rng.integers(0, 31 * 86400, 400).astype("timedelta64[s]"),
        "took": rng.integers(60, 7200, 400).astype("timedelta64[s]"),
        "temperature": np.where(rng.random(400) < 0.02, np.nan, rng.normal(0, 8, 400)),
        "same": np.ones(400),
        HOSTILE: rng.choice([HOSTILE, "other"], 400),
        "gone": rng.normal(size=400),
    }
    after = {
        "delay": rng.normal(18, 11, 300),
        "carrier": rng.choice(["AA", "DL", "B6"], 300, p=[0.3, 0.3, 0.4]),
        "hour": rng.integers(0, 24, 300),
        "when": day + rng.integers(40 * 86400, 60 * 86400, 300).astype("timedelta64[s]"),
        "took": rng.integers(60, 7200, 300).astype("timedelta64[s]"),
        "temperature": np.where(rng.random(300) < 0.2, np.nan, rng.normal(0, 8, 300)),
        "same": np.ones(300),
        HOSTILE: rng.choice([HOSTILE, "other"], 300, p=[0.9, 0.1]),
        "new": rng.normal(size=300),
    }
    return detector.detect_data_drift(before, after)


class Page(HTMLParser):
    """Every tag closes, in order; collects tags and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def test_the_page_needs_nothing_else_and_obeys_nothing(drift: DataDrift) -> None:
    text = drift.to_html()
    page = Page(text)
    assert not {tag for tag, _ in page.seen} & {"script", "link", "img", "iframe"}
    assert not [value for _, given in page.seen for name, value in given.items() if name.startswith("on") or "://" in str(value)]
    assert "url(" not in text
    assert text.encode()
    for drawn in text.split("<svg")[1:]:
        ET.fromstring("<svg" + drawn.split("</svg>")[0] + "</svg>")  # noqa: S314  our own text


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


def test_every_comparison_is_in_every_form(drift: DataDrift) -> None:
    rows = [line for line in drift.to_markdown().splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(drift.outcomes)
    assert "\\<script\\>" in drift.to_markdown()
    assert "**b**" not in drift.to_markdown()
    assert type(drift).from_dict(json.loads(drift.to_json())) == drift
    assert "<!doctype" not in drift._repr_html_()
    assert "<svg" in drift._repr_html_()


def test_nothing_found_is_said_too(detector: DriftDetector) -> None:
    rng = np.random.default_rng(1)
    found = detector.detect_data_drift(rng.normal(size=200), rng.normal(size=200))
    assert not found.drift_detected
    assert "No drift in 2 comparisons of 200 reference and 200 current rows" in " ".join(Page(found.to_html()).words)
    assert found.to_markdown().startswith("**No drift in 2 comparisons")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # a detector keeps nothing between calls
@given(
    VALUES,
    VALUES,
    st.sampled_from(["float64", "datetime64[us]", "timedelta64[us]"]),
)
def test_any_values_can_be_drawn(detector: DriftDetector, before: list[float], after: list[float], kind: str) -> None:
    sides: list[Any] = [np.array(side) for side in (before, after)]
    if kind != "float64":
        sides = [(side % 1e17).astype(np.int64).astype(kind) for side in sides]
    Page(detector.detect_data_drift({"c": sides[0]}, {"c": sides[1]}).to_html())


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        (12.0, "number", "12"),
        (123456.0, "number", "123,456"),
        (12.345, "number", "12.3"),
        (0.01234, "number", "0.0123"),
        (1.5e-7, "number", "1.50e-07"),
        (1.5e9, "number", "1.50e+09"),
        (0.0, "number", "0"),
        (-2.5, "number", "-2.50"),
        (0.0, "datetime", "1970-01-01"),
        (3.6e9, "datetime", "1970-01-01 01:00"),
        (5400.0, "duration", "1.5 h"),
        (0.0, "duration", "0 s"),
        (0.25, "duration", "250 ms"),
    ],
)
def test_figures_are_short(value: float, kind: str, told: str) -> None:
    assert figure(value, kind) == told
