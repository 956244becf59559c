"""Burn rates of an error budget: two windows each, after traffic that was made for them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any

import pytest
from attrs import evolve, field, frozen

from mlops_core.config.alerts import PAGE, TICKET
from mlops_core.config.settings import SloSettings
from mlops_core.monitoring import ModelMonitoring
from mlops_core.monitoring.incidents import Book, advance
from mlops_core.monitoring.reading import Reader
from mlops_core.monitoring.slo import Objective, Tier, tiers_of
from mlops_core.records import SeriesKey, Window
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_sink import MemorySink

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PASS = timedelta(seconds=10)
SERIES = [SeriesKey("acme", "production", "m", "1")]
SLO = SloSettings(0.999)
Counts = Sequence[tuple[int, int]]


@frozen
class Traffic(Reader):
    """Predictions and failures in steps of equal length from ``AT`` on; before it there was nothing. ``asked`` are the windows read."""

    totals: list[int] = field(factory=list)
    errors: list[int] = field(factory=list)
    step: timedelta = PASS
    asked: set[timedelta] = field(factory=set)

    @classmethod
    def of(cls, counts: Counts, step: timedelta = PASS) -> "Traffic":
        totals, errors = ([0, *accumulate(one[place] for one in counts)] for place in (0, 1))
        return cls("made", MemorySink(), totals, errors, step)

    def window(self, series: list[SeriesKey], start: datetime, end: datetime) -> Window:
        self.asked.add(end - start)
        first, last = (min(max(0, (at - AT) // self.step), len(self.totals) - 1) for at in (start, end))
        return Window(self.totals[last] - self.totals[first], self.errors[last] - self.errors[first])


def steady(burn: float, length: timedelta) -> Counts:
    """10,000 predictions each 10 s, of which so many fail that the budget of 99.9 % burns at this rate."""
    return [(10_000, round(burn * 10))] * (length // PASS)


def states(counts: Counts, settings: SloSettings = SLO, *, every: int = 1) -> dict[str, list[tuple[timedelta, str]]]:
    """When each rule's incident changed, evaluated at every step: time since the start and state."""
    objective, traffic, book = Objective(settings), Traffic.of(counts), Book()
    found: dict[str, list[tuple[timedelta, str]]] = {PAGE: [], TICKET: []}
    for number in range(1, len(counts) + 1, every):
        now = AT + PASS * number
        entry = advance(book, list(objective.measure("m", SERIES, traffic, now)), now, tenant="acme", model="m", channels=("a",))
        if entry is not None:
            book = Book.from_dict(dict(entry.state or {}))
            for incident in book.incidents.values():
                if incident.at == now:
                    found[incident.rule].append((now - AT, incident.state))
    return found


def test_the_windows_are_those_of_the_workbook_and_scale_with_the_period() -> None:
    assert tiers_of(30 * DAY) == (
        Tier(14.4, HOUR, 5 * MINUTE),
        Tier(6, 6 * HOUR, 30 * MINUTE),
        Tier(1, 3 * DAY, 6 * HOUR),
    )
    for period in (DAY, 7 * DAY, 90 * DAY):
        shares = [tier.rate * (tier.long / period) for tier in tiers_of(period)]
        assert shares == pytest.approx([0.02, 0.05, 0.1])
        assert [tier.long / tier.short for tier in tiers_of(period)] == pytest.approx([12] * 3)


@pytest.mark.parametrize(("burn", "after"), [(14.4, HOUR), (20.0, timedelta(seconds=2600)), (1000.0, timedelta(seconds=60))])
def test_a_fast_burn_fires_at_the_first_pass_that_finds_its_condition(burn: float, after: timedelta) -> None:
    """Over the long window it is 14.4 / burn of that window old then; a total outage takes 51.84 s."""
    clean = steady(0, 6 * HOUR)
    assert states([*clean, *steady(burn, HOUR)])[PAGE] == [(6 * HOUR + after, "firing")]


def test_a_burn_just_below_a_rate_never_fires() -> None:
    assert states([*steady(0, 6 * HOUR), *steady(14.3, timedelta(hours=2.5))])[PAGE] == [], "from 6 / 14.3 of 6 h on the next tier tells"
    assert states(steady(5.9, 2 * DAY), every=6)[PAGE] == []
    assert states(steady(0.9, 4 * DAY), every=60) == {PAGE: [], TICKET: []}


@pytest.mark.parametrize(("burn", "length", "within"), [(20.0, HOUR, 5 * MINUTE), (8.0, 6 * HOUR, 30 * MINUTE)])
def test_a_recovery_ends_the_page_within_the_short_window(burn: float, length: timedelta, within: timedelta) -> None:
    clean = steady(0, 6 * HOUR)
    found = states([*clean, *steady(burn, length), *steady(0, HOUR)])[PAGE]
    assert [state for _, state in found] == ["firing", "resolved"]
    assert timedelta(0) < found[1][0] - (6 * HOUR + length) <= within


def test_a_burn_that_swings_around_the_rate_is_one_page() -> None:
    """For less than 2.5 hours, after which the slower line of a page burns too."""
    swinging = [count for _ in range(7) for count in (*steady(14.9, 5 * MINUTE), *steady(13.9, 5 * MINUTE))]
    assert [state for _, state in states([*steady(0, 6 * HOUR), *steady(14.5, HOUR), *swinging])[PAGE]] == ["firing"]


def test_a_ticket_waits_until_nothing_burns_as_fast_as_a_page() -> None:
    found = states([*steady(0, 3 * DAY), *steady(1000, 10 * MINUTE), *steady(0, 8 * HOUR)])
    (_, opened), (over, ended) = found[PAGE]
    (first, ticket), (last, closed) = found[TICKET]
    assert (opened, ended, ticket, closed) == ("firing", "resolved", "firing", "resolved")
    assert timedelta(0) <= over - first < MINUTE
    assert 3 * DAY + 10 * MINUTE < last <= 3 * DAY + 10 * MINUTE + 6 * HOUR


def test_where_nothing_burns_only_the_short_windows_are_read() -> None:
    traffic = Traffic.of(steady(0.5, DAY))
    measured = list(Objective(SLO).measure("m", SERIES, traffic, AT + DAY))
    assert [(one.rule, one.holds) for one in measured] == [(PAGE, False), (TICKET, False)]
    assert traffic.asked == {5 * MINUTE, 30 * MINUTE, 6 * HOUR}
    burning = Traffic.of(steady(20, DAY))
    page, _ = Objective(SLO).measure("m", SERIES, burning, AT + DAY)
    assert burning.asked == {5 * MINUTE, HOUR, 6 * HOUR, 3 * DAY}, "and of what burns the long one; what is left is asked when it opens"
    assert page.detail() == "measured: 20x over 1h, 20x over 5m; the budget is spent 20 times"
    assert burning.asked == {5 * MINUTE, HOUR, 6 * HOUR, 3 * DAY, 30 * DAY}


@pytest.mark.parametrize(("total", "errors", "holds"), [(3, 1, False), (9, 9, False), (10, 10, True), (10_000, 9, False)])
def test_few_failures_are_no_evidence(total: int, errors: int, holds: bool) -> None:  # noqa: FBT001  a parameter
    """One failure of three predictions is 333 times the budget."""
    page, _ = Objective(SLO).measure("m", SERIES, Traffic.of([(total, errors)]), AT + PASS)
    assert page.holds is holds
    sooner, _ = Objective(evolve(SLO, min_failures=1)).measure("m", SERIES, Traffic.of([(total, errors)]), AT + PASS)
    assert sooner.holds is (errors / total > 0.0144)


@pytest.mark.simulation
@pytest.mark.parametrize("per_hour", [100, 278, 1000])
def test_traffic_that_keeps_the_objective_pages_nobody_in_30_days(per_hour: int) -> None:
    """A pass every minute of 30 days; of 300 such months at the worst rate, 278 per hour, two had a page."""
    random = Random(per_hour)
    counts = []
    for _ in range(33 * 24 * 60):
        total = per_hour // 60 + (random.random() < per_hour % 60 / 60)
        counts.append((total, sum(random.random() < 0.001 for _ in range(total))))
    traffic, objective = Traffic.of(counts, MINUTE), Objective(SLO)
    pages = [next(iter(objective.measure("m", SERIES, traffic, AT + minute * MINUTE))).holds for minute in range(3 * 24 * 60, len(counts))]
    assert len(pages) == 30 * 24 * 60
    assert not any(pages)


def test_without_predictions_nothing_burns() -> None:
    page, ticket = Objective(evolve(SLO, model="m")).measure("m", [], Traffic.of([]), AT)
    assert (page.holds, page.cleared, page.value, page.environment) == (False, True, None, "default")
    assert (ticket.holds, ticket.cleared, ticket.value) == (False, True, None)
    assert list(Objective(SLO).measure("m", [], Traffic.of([]), AT)) == []


def test_a_page_says_how_fast_what_is_left_and_for_whom(make: Callable[..., Stack], clock: FakeClock, inbox: Any) -> None:
    with ModelMonitoring(stack=make(slo=evolve(SLO, notify=("inbox",)))) as monitoring:
        for number in range(1000):
            monitoring.track_prediction("m", 0.1, number >= 20, environment="production")
        monitoring.flush()
        (opened,) = monitoring.evaluate()
        assert (opened.rule, opened.severity) == ("slo.page", "page")
        assert opened.value == pytest.approx(20)
        clock.advance(301)
        for _ in range(100_000):
            monitoring.track_prediction("m", 0.1, success=True, environment="production")
        monitoring.flush()
        assert [(one.rule, one.state) for one in monitoring.evaluate()] == [("slo.page", "resolved")]
    fired, ended = inbox.sent
    assert fired.summary == (
        "m in production: slo.page firing: budget of 99.9% over 30d is spent at 14.4x over 1h and 5m, or 6x over 6h and 30m "
        "(measured: 20x over 1h, 20x over 5m; the budget is spent 20 times)"
    )
    assert fired.labels["severity"] == ended.labels["severity"] == "page"
    assert ended.summary.endswith("(measured: 0)")
