"""Tables for people, lines for pipes, JSON for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from mlops_core.cli.output import Output, age, plain, style_of
from mlops_core.records import TrackedRun

NOW = datetime(2024, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s ago"), (59, "59s ago"), (90, "2m ago"), (7200, "2h ago"), (3 * 86400, "3d ago"), (-5, "0s ago")]
)
def test_ages(seconds: int, text: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == text


def test_no_age() -> None:
    assert age(None, NOW) == "-"


def test_records_become_json_with_their_derived_figures() -> None:
    run = TrackedRun("r", "e", "n", "t", "running", NOW)  # type: ignore[arg-type]  # as from JSON
    assert plain({"run": [run], "at": NOW, "span": timedelta(seconds=2), "set": {1}})["at"] == "2024-01-02T00:00:00+00:00"


def test_json_silences_everything_else(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True)
    out.line("x")
    out.table("t", ("a",), [(1,)])
    out.pairs("t", {"a": 1})
    out.record({"a": 1})
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_plain_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table("Title", ("name", "n"), [("long name", 1.23456), (None, NOW)])
    assert capsys.readouterr().out == "Title\n  name       n\n  long name  1.235\n  -          2024-01-02 00:00:00\n"


def test_cells_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    Output().pairs("Title", {"list": [0.000279453, 1.0], "none": None, "text": "", "number": 3})
    assert capsys.readouterr().out == "Title\n  list    [0.0002795, 1]\n  none    -\n  text    -\n  number  3\n"


def test_lines_of_a_busy_terminal_stay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    out = Output()
    with out.busy("starting") as say:
        say("quietly")
        out.line("in a pipe")
    assert capsys.readouterr().out == "in a pipe\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with out.busy("[starting]") as say:
        say("[working]")
        out.line("word " * 30, wrap=True)
    told = capsys.readouterr().out
    assert all(len(line) <= 80 for line in told.splitlines() if line.startswith("word"))
    assert told.count("word") == 30


def test_words_of_state_have_colours() -> None:
    assert (style_of("succeeded"), style_of("failed"), style_of("paused"), style_of("tumour")) == ("green", "red", "yellow", "")


def test_a_terminal_gets_a_drawn_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    Output().table("Title", ("name",), [("[red]x",)])
    Output().line("said", style="red")
    told = capsys.readouterr().out
    assert "┃" in told
    assert "[red]x" in told
    assert "said" in told


def test_what_a_terminal_obeys_is_not_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    Output().line("a\x1b[2J\x9b1m\r\tb\nc")
    Output().pairs("", {"note": "one\ntwo\x1b]0;title\x07"})
    assert capsys.readouterr().out == "a\ufffd[2J\ufffd1m\ufffd\tb\nc\n  note  one two\ufffd]0;title\ufffd\n"
