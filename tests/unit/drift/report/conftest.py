"""A check with a column of every kind, and a reader of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from mlops_core.drift import DataDrift, DriftDetector

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
