"""The picture of a model, at the widths of real terminals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

import pytest
from attrs import evolve
from rich.console import Console

from mlops_core.cli.dashboard import Dashboard, sparkline, steps_for, written
from mlops_core.monitoring import History, Incident
from mlops_core.monitoring.incidents import Acknowledged
from mlops_core.records import Segment, SeriesKey, ValueSum
from mlops_core.records.histogram import histogram_of
from mlops_core.records.quality import Quality

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def segment(number: int, version: str, errors: int = 0) -> Segment:
    end = AT - HOUR + timedelta(minutes=number)
    return Segment(
        SeriesKey("acme", "production", "flight_delay", version),
        end - timedelta(seconds=10),
        end,
        "w",
        number,
        total=600,
        errors=errors,
        errors_by_type={"TimeoutError": errors} if errors else {},
        latency_sum=12.0,
        histogram=histogram_of([0.02] * 600),
        values={"drift.ks.p_value": ValueSum(1, 0.013, 0.013, end)} if number == 30 else {},
    )


def picture(*segments: Segment, width: int = 120, **more: Any) -> Dashboard:
    about = ("flight_delay", None, None)
    history = History.of(segments, AT - HOUR, AT, steps_for(width), about=about, max_error_rate=0.05)
    incident = Incident("acme", "errors", "flight_delay", "production", "firing", AT - timedelta(minutes=9), AT, "error_rate > 0.02", 0.1)
    held = evolve(incident, acknowledged=Acknowledged("ann", AT, "rolling back"), silenced=AT + HOUR)
    return evolve(Dashboard(history, [held], AT), **more)


def drawn(dashboard: Dashboard, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(dashboard)
    return captured.get().splitlines()


BUSY = [segment(number, version, errors=120 if number > 50 else 0) for number in range(1, 61) for version in ("3", "4")]


@pytest.mark.parametrize("width", [80, 140])
def test_a_picture_fits_and_uses_its_terminal(width: int) -> None:
    lines = drawn(picture(*BUSY, width=width), width)
    assert max(map(len, lines)) <= width
    (rate,) = [line for line in lines if line.startswith("throughput")]
    assert len(rate.rstrip()) > width - 10
    text = "\n".join(lines)
    for said in ("DEGRADED", "72,000 predictions", "peak", "11:00", "12:00", "TimeoutError", "drift.ks.p_value", "30m ago", "9m ago"):
        assert said in text
    assert "acknowledged by ann" in text
    assert "silenced until" in text
    assert any(line.startswith("3 ") and "36,000" in line for line in lines), "by version, where there are several"


def test_one_version_is_not_repeated_and_nothing_open_is_said() -> None:
    lines = drawn(picture(*BUSY[::2], incidents=[]), 120)
    assert "Open incidents: none" in lines
    assert not any(line.startswith("Versions") for line in lines)


def test_live_quality_stands_with_its_interval() -> None:
    known = evolve(BUSY[-1], quality=Quality(100, 90, {"0": {"0": 45, "1": 5}, "1": {"0": 5, "1": 45}}))
    lines = drawn(picture(known), 120)
    (line,) = [one for one in lines if one.startswith("accuracy")]
    assert line.split() == ["accuracy", "0.9", "0.8256", "to", "0.9448", "100"]


def test_without_data_it_says_so() -> None:
    lines = drawn(picture(incidents=[]), 80)
    assert "UNKNOWN" in lines[0]
    assert "no predictions in the window" in lines[1] + lines[2]
    assert not any(line.startswith(("Errors", "Recorded", "Versions")) for line in lines)


def test_a_terminal_that_became_narrower_shows_the_newest_steps() -> None:
    lines = drawn(picture(*BUSY, width=140), 80)
    assert max(map(len, lines)) <= 80


def test_what_a_terminal_would_obey_is_shown_as_text() -> None:
    hostile = evolve(BUSY[-1], errors_by_type={"\x1b[2J\nboo": 60})
    assert "\x1b" not in "\n".join(drawn(picture(hostile, note="\x1b]0;x\x07"), 120))


def test_a_terminal_without_unicode_gets_ascii() -> None:
    stream = BytesIO()
    console = Console(file=TextIOWrapper(stream, encoding="ascii"), width=80, force_terminal=False)
    console.print(picture(*BUSY))
    console.file.flush()
    assert b"@" in stream.getvalue()


def test_many_kinds_of_errors_are_cut_short() -> None:
    many = evolve(BUSY[-1], errors_by_type={f"Error{number:02}": 1 for number in range(20)})
    lines = drawn(picture(many), 120)
    assert sum(line.startswith("Error0") for line in lines) == 8
    assert any("and 12 more" in line for line in lines)


@pytest.mark.parametrize(
    ("window", "said"),
    [(timedelta(seconds=30), "11:59:30"), (HOUR, "11:00"), (timedelta(days=30), "04-01 12:00")],
)
def test_the_axis_is_as_exact_as_the_window_asks_for(window: timedelta, said: str) -> None:
    history = History.of([], AT - window, AT, 60, about=("m", None, None), max_error_rate=0.05)
    (axis,) = [line for line in drawn(Dashboard(history, [], AT), 100) if line.strip().startswith(said)]
    assert axis.rstrip().endswith(":00" if window < HOUR else "12:00")


def test_sparklines() -> None:
    assert sparkline([0, 1, 2, 4, 8]) == "▁▂▃▅█"
    assert sparkline([None, 0.0, None]) == " ▁ "
    assert sparkline([0, 0.0001, 1]) == "▁▂█", "what is above nothing is seen"
    assert sparkline([]) == ""
    assert (steps_for(80), steps_for(20), steps_for(1000)) == (40, 10, 200)
    assert (written(0.0123, 1000, "{:.1f} ms"), written(None, 1, "{}")) == ("12.3 ms", "-")
