"""Silences in their journal."""

import getpass
from datetime import timedelta

import pytest

from mlops_core.exceptions import MonitoringError
from mlops_core.journal import Journal
from mlops_core.monitoring.silences import JOURNAL, Silence, Silences, author, silenced_until
from mlops_core.records import NewEntry
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock

HOUR = timedelta(hours=1)


def test_what_has_ended_goes_with_the_next_change_and_stays_in_the_history(stack: Stack, clock: FakeClock) -> None:
    silences = Silences(stack)
    first = silences.add(HOUR, "a", "ann", None, None, None)
    clock.advance(3600)
    assert silences.in_effect(clock.now()) == []
    clock.advance(2 * 86_400)
    second = silences.add(HOUR, "b", "bob", None, "m", None)
    assert silences.in_effect(clock.now()) == [second]
    journal = Journal(stack.parts.registry, "acme", JOURNAL)
    assert list(journal.head().state["silences"]) == [second.id]
    told = [(one.kind, one.change["id"], one.change["by"]) for one in journal.history()]
    assert told == [("silenced", first.id, "ann"), ("silenced", second.id, "bob")]


def test_of_two_processes_that_silence_at_once_both_are_heard(stack: Stack, clock: FakeClock) -> None:
    made = {Silences(stack).add(HOUR, "a", "ann", None, None, None).id for _ in range(2)}
    assert {one.id for one in Silences(stack).in_effect(clock.now())} == made
    assert Silences(stack.for_tenant("other")).in_effect(clock.now()) == []


def test_the_last_one_that_covers_counts(clock: FakeClock) -> None:
    short, long = (Silence("a", clock.now(), clock.now() + length, "x", "ann", model="m") for length in (HOUR, 2 * HOUR))
    assert silenced_until([long, short], "errors", "m", "production") == long.until
    assert silenced_until([long, short], "errors", "other", "production") is None


def test_a_journal_of_a_newer_release_is_refused(stack: Stack, clock: FakeClock) -> None:
    stack.parts.registry.append("acme", JOURNAL, 0, NewEntry(clock.now(), "silenced", state={"format": 2, "muted": []}))
    with pytest.raises(MonitoringError, match=r"^silences: format 2 of the journal is not known"):
        Silences(stack).in_effect(clock.now())
    with pytest.raises(MonitoringError, match=r"^silences: format 2"):
        Silences(stack).add(HOUR, "a", "ann", None, None, None)


def test_whoever_has_no_login_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert author() == getpass.getuser()

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert author() == "unknown"


def test_clocks_that_differ_end_no_silence(stack: Stack, clock: FakeClock) -> None:
    """Another machine's clock may be behind, this one's may be set back, and one that is ahead must not clear up what others need."""
    silences = Silences(stack)
    kept = silences.add(2 * HOUR, "a", "ann", None, None, None)
    assert silences.in_effect(clock.now() - HOUR) == [kept]
    clock.advance(86_400)
    ahead = silences.add(HOUR, "b", "bob", None, None, None)
    assert {one.id for one in silences.in_effect(clock.now() - timedelta(days=1))} == {kept.id, ahead.id}
