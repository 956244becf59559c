"""Incidents as pure steps: pending, firing, resolved, and what is owed for each."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from mlops_core.config.settings import AlertRule
from mlops_core.monitoring.incidents import Book, Incident, Measured, advance, journal_of, settle
from mlops_core.monitoring.rules import Rule
from mlops_core.records import Threshold, Window

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def measured(value: float | None, hold_for: timedelta = timedelta(0), name: str = "errors", **more: Any) -> Measured:
    rule = AlertRule(name, "error_rate > 0.1", hold_for=hold_for, **more)
    clear = None if rule.clear is None else Threshold.parse(rule.clear)
    window = Window() if value is None else Window(total=1_000_000, errors=round(value * 1_000_000))
    return Rule(rule, Threshold.parse(rule.when), clear).judge("production", window)


def after(book: Book, *found: Measured, minute: float = 0, channels: tuple[str, ...] = ("a", "b")) -> Book:
    """The book after a pass, by way of JSON as the journal keeps it."""
    entry = advance(book, found, AT + MINUTE * minute, tenant="acme", model="m", channels=channels)
    return book if entry is None else Book.from_dict(json.loads(json.dumps(entry.state)))


def only(book: Book) -> Incident:
    (incident,) = book.incidents.values()
    return incident


def test_a_condition_that_holds_fires_once() -> None:
    book = after(Book(), measured(0.5))
    assert (only(book).state, only(book).value, only(book).is_open) == ("firing", 0.5, True)
    assert after(book, measured(0.9), minute=1) is book
    assert [(one.channel, one.alert.state) for one in book.owed] == [("a", "firing"), ("b", "firing")]


def test_what_never_held_leaves_no_entry() -> None:
    assert advance(Book(), [measured(0.1), measured(None, name="other")], AT, tenant="acme", model="m", channels=()) is None


def test_a_condition_must_hold_for_its_time() -> None:
    book = after(Book(), measured(0.5, 5 * MINUTE))
    assert (only(book).state, book.owed) == ("pending", ())
    assert after(book, measured(0.5, 5 * MINUTE), minute=4.9) is book
    book = after(book, measured(0.6, 5 * MINUTE), minute=5)
    assert (only(book).state, only(book).since, only(book).at, only(book).value) == ("firing", AT, AT + 5 * MINUTE, 0.6)


def test_a_lapse_while_pending_starts_over_and_tells_nobody() -> None:
    book = after(Book(), measured(0.5, 5 * MINUTE))
    book = after(book, measured(0.0, 5 * MINUTE), minute=3)
    assert book == Book()
    book = after(book, measured(0.5, 5 * MINUTE), minute=4)
    assert only(book).since == AT + 4 * MINUTE


def test_no_data_and_a_clock_set_back_are_no_condition() -> None:
    assert after(Book(), measured(None)) == Book()
    book = after(Book(), measured(0.5, 5 * MINUTE))
    back = after(book, measured(0.5, 5 * MINUTE), minute=-60)
    assert (only(back).state, only(back).since) == ("pending", AT - 60 * MINUTE)
    assert only(after(back, measured(0.5, 5 * MINUTE), minute=-55)).state == "firing"  # and not an hour later


def test_an_incident_ends_and_the_next_has_its_own_key() -> None:
    first = after(Book(), measured(0.5))
    ended = after(first, measured(0.05), minute=1)
    assert (only(ended).state, only(ended).key, only(ended).value) == ("resolved", only(first).key, 0.05)
    assert after(ended, measured(0.05), minute=2) is ended
    second = after(ended, measured(0.5), minute=3)
    assert only(second).key != only(first).key
    assert [one.alert.state for one in second.owed if one.channel == "a"] == ["firing", "resolved", "firing"]
    assert len({one.alert.key for one in second.owed}) == 3


def test_an_alert_says_what_happened() -> None:
    book = after(Book(), measured(0.5), channels=("a",))
    (owed,) = book.owed
    assert owed.alert.key == f"acme/m/production/errors/{int(AT.timestamp()) * 1_000_000}/firing"
    assert owed.alert.summary == "m in production: errors firing: error_rate > 0.1 (measured: 0.5)"
    ended = after(book, minute=1, channels=("a",))
    assert ended.owed[-1].alert.summary == "m in production: errors resolved: error_rate > 0.1 (measured: no data)"


def test_a_rule_that_is_gone_ends_its_incident() -> None:
    both = after(Book(), measured(0.5), measured(0.5, MINUTE, "slow"))
    assert {name: one.state for name, one in both.incidents.items()} == {"errors/production": "firing", "slow/production": "pending"}
    assert {name: one.state for name, one in after(both, minute=1).incidents.items()} == {"errors/production": "resolved"}


def test_a_rule_tells_the_channels_it_names() -> None:
    book = after(Book(), measured(0.5, notify=("b",)))
    assert [one.channel for one in book.owed] == ["b"]


def test_what_a_channel_took_is_crossed_out_once() -> None:
    book = after(Book(), measured(0.5))
    entry = settle(book, book.owed[:1], AT)
    assert entry is not None
    settled = Book.from_dict(dict(entry.state or {}))
    assert (settled.incidents, settled.owed) == (book.incidents, book.owed[1:])
    assert settle(settled, book.owed[:1], AT) is None


def test_of_a_rule_that_goes_on_and_off_only_the_newest_alerts_wait() -> None:
    book = Book()
    for minute in range(60):
        book = after(book, measured(0.5 if minute % 2 == 0 else 0.0), measured(0.5, name="slow"), minute=minute)

    waiting = [(one.channel, one.alert.rule, one.alert.state) for one in book.owed if one.channel == "a"]
    flaps = [("a", "errors", "firing"), ("a", "errors", "resolved")] * 2
    assert waiting == [("a", "slow", "firing"), *flaps]
    assert book.owed[-1].alert.at == AT + MINUTE * 59


def states(*values: float | None, **rule: Any) -> list[str]:
    """The state after each measurement, one every minute; - for none."""
    book, found = Book(), list[str]()
    for number, value in enumerate(values):
        book = after(book, measured(value, **rule), minute=number)
        found.append(only(book).state if book.incidents else "-")
    assert [one.alert.state for one in book.owed if one.channel == "a"] == [
        state for before, state in zip(["-", *found], found, strict=False) if state != before and state not in {"-", "pending"}
    ][-4:]
    return found


def test_a_metric_around_its_bound_opens_one_incident() -> None:
    swinging = [0.11 if number % 2 == 0 else 0.09 for number in range(40)]
    assert states(*swinging, 0.04, 0.09, clear="error_rate < 0.05") == [*["firing"] * 40, "resolved", "resolved"]
    assert len(set(states(*swinging))) == 2  # without hysteresis it goes on and off


def test_it_ends_once_it_was_over_for_as_long_as_it_is_kept() -> None:
    kept = {"keep": 3 * MINUTE}
    assert states(0.5, 0.0, 0.0, 0.0, 0.0, **kept) == ["firing"] * 4 + ["resolved"]
    assert states(0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, **kept) == ["firing"] * 7 + ["resolved"]
    assert states(0.5, 0.0, 0.5, 0.0, 0.5, 0.0, 0.5, **kept) == ["firing"] * 7


def test_a_kept_incident_remembers_since_when_it_could_end() -> None:
    book = after(after(Book(), measured(0.5, keep=3 * MINUTE)), measured(0.0, keep=3 * MINUTE), minute=1)
    assert (only(book).state, only(book).lapsed) == ("firing", AT + MINUTE)
    assert after(book, measured(0.0, keep=3 * MINUTE), minute=2) is book
    back = after(book, measured(0.0, keep=3 * MINUTE), minute=-60)  # a clock that was set back
    assert (only(back).state, only(back).lapsed) == ("firing", AT - 60 * MINUTE)
    assert only(after(back, measured(0.0, keep=3 * MINUTE), minute=-57)).state == "resolved"
    assert only(after(book, measured(0.5, keep=3 * MINUTE), minute=2)).lapsed is None


def test_the_end_of_a_rule_that_is_gone_is_told_to_who_heard_of_it() -> None:
    book = after(Book(), measured(0.5, notify=("a",)))
    assert [one.channel for one in book.owed] == ["a"]
    assert [one.channel for one in after(book, minute=1).owed] == ["a", "a"]


def test_what_stands_beside_an_open_incident_neither_opens_nor_ends() -> None:
    page, ticket = measured(0.5, name="page"), evolve(measured(0.5, name="ticket"), beside="page")
    book = after(Book(), page, ticket)
    assert list(book.incidents) == ["page/production"]
    both = after(after(Book(), measured(0.0, name="page"), ticket), page, evolve(measured(0.0, name="ticket"), beside="page"), minute=1)
    assert {one.rule: one.state for one in both.incidents.values()} == {"page": "firing", "ticket": "firing"}


@pytest.mark.parametrize(
    ("no_data", "found"),
    [
        ("ok", ["-", "firing", "resolved", "firing"]),
        ("alert", ["firing", "firing", "firing", "firing"]),
        ("keep", ["-", "firing", "firing", "firing"]),
    ],
)
def test_what_a_window_without_data_does(no_data: str, found: list[str]) -> None:
    assert states(None, 0.5, None, 0.5, no_data=no_data) == found
    assert states(None, 0.5, None, 0.5, no_data=no_data, clear="error_rate < 0.05") == found


def test_time_without_data_is_not_time_in_which_it_was_over() -> None:
    assert states(0.5, 0.0, None, None, None, 0.0, 0.0, keep=3 * MINUTE, no_data="keep") == ["firing"] * 7


def test_without_data_a_pending_incident_stays_where_the_rule_keeps_it() -> None:
    assert states(0.5, None, 0.5, hold_for=2 * MINUTE, no_data="keep") == ["pending", "pending", "firing"]
    assert states(0.5, None, 0.5, hold_for=2 * MINUTE) == ["pending", "-", "pending"]


def test_a_models_journal_has_its_name() -> None:
    assert journal_of("m") == "incidents/m"
