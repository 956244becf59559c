"""Pictures: sound SVG, whatever the values are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, given, settings

from mlops_core.drift.report.pictures import picture, sketch, text

from .conftest import HOSTILE, Page

if TYPE_CHECKING:
    from mlops_core.drift import DataDrift, DriftDetector

VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-10, 10), min_size=2, max_size=20)


def test_every_kind_of_column_is_sound_svg(drift: DataDrift) -> None:
    assert {one.kind for one in drift.distributions} == {"number", "datetime", "duration", "category"}
    for one in drift.distributions:
        for drawn in (picture(one), sketch(one)):
            assert ET.fromstring(drawn).get("role") == "img"  # noqa: S314  our own text


def test_dates_that_stand_for_never_can_be_drawn(detector: DriftDetector) -> None:
    never = np.full(50, np.datetime64("9999-12-31", "us"))
    Page(detector.detect_data_drift({"until": never}, {"until": never}).to_html())


def test_text_is_safe() -> None:
    assert text(HOSTILE) == "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;|**b**\ufffd\ufffd"


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
