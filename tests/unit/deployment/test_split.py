"""How an A/B test ends."""

from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attrs import evolve
from scipy.stats import binom

from mlops_core.config.settings import GroundTruthSettings
from mlops_core.deployment import ModelDeployment
from mlops_core.deployment.split import ALPHA, Finding, best
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import Quality, Segment, SeriesKey, Window
from mlops_core.records.histogram import histogram_of
from mlops_core.testing.memory_deployer import MemoryDeployer

if TYPE_CHECKING:
    from collections.abc import Callable

World = Any  # the fixture's class lives in the conftest
WEEK = timedelta(days=7)
SHARES = {"1.0.0": 0.5, "2.0.0": 0.5}


def errors(**counts: tuple[int, int]) -> dict[str, Window]:
    return {version: Window(total=total, errors=count) for version, (count, total) in counts.items()}


def named(windows: dict[str, Window], metric: str, *shares: float) -> Finding:
    """Of versions with these shares; none given: with equal ones."""
    return best(windows, metric, dict(zip(windows, shares or [1 / len(windows)] * len(windows), strict=True)))


def exactly(events: int, total: int, others: int, other_total: int) -> float:
    """So few of the events, or fewer, by counting all ways to spread them."""
    every = events + others
    ways = sum(math.comb(total, count) * math.comb(other_total, every - count) for count in range(max(0, every - other_total), events + 1))
    return float(Fraction(ways, math.comb(total + other_total, every)))


@pytest.mark.parametrize(
    "counts", [(0, 50, 7, 60), (3, 100, 12, 90), (1, 1000, 30, 4000), (10, 10, 30, 30), (40, 400, 90, 500), (0, 5, 5, 5)]
)
def test_the_p_value_is_exact(counts: tuple[int, int, int, int]) -> None:
    events, total, others, other_total = counts
    sides = {"a": (events, total), "b": (others, other_total)}
    windows = {name: Window(quality=Quality(labelled=labelled, correct=labelled - wrong)) for name, (wrong, labelled) in sides.items()}
    found = named(windows, "live.accuracy").metrics["p_value"]
    better = events * other_total < others * total
    assert found == pytest.approx(exactly(*counts) if better else 1.0, rel=1e-9)


def test_large_counts_are_no_trouble() -> None:
    found = named(errors(a=(100_000, 10_000_000), b=(104_000, 10_000_000)), "error_rate")
    assert (found.winner, 0 < found.metrics["p_value"] < 1e-15) == ("a", True)


@pytest.mark.simulation
@pytest.mark.parametrize("versions", [2, 3, 5])
def test_where_none_is_better_a_winner_is_named_seldom(versions: int) -> None:
    """2,000 tests of versions with 2 % errors, whose first has most of the requests."""
    rng = np.random.default_rng(7)
    shares = [0.8] + [0.2 / (versions - 1)] * (versions - 1)
    winners = 0
    for _ in range(2000):
        totals = rng.multinomial(20_000, shares)
        counts = {f"v{number}": (int(rng.binomial(total, 0.02)), int(total)) for number, total in enumerate(totals)}
        winners += named(errors(**counts), "error_rate", *shares).winner is not None
    assert winners / 2000 <= ALPHA
    assert versions > 2 or winners  # two at half the level each: not so strict that it never errs


@pytest.mark.simulation
@pytest.mark.parametrize("versions", [2, 3])
@pytest.mark.parametrize("metric", ["p50_latency", "p95_latency", "p99_latency", "live.accuracy"])
def test_where_none_is_quicker_or_more_often_right_a_winner_is_named_seldom(metric: str, versions: int) -> None:
    """2,000 tests of versions with the same latencies, over 60 buckets, and an accuracy of 90 %."""
    rng = np.random.default_rng(13)
    shares = [0.8] + [0.2 / (versions - 1)] * (versions - 1)
    buckets = rng.dirichlet(np.ones(60))
    winners = 0
    for _ in range(2000):
        windows = {}
        for number, total in enumerate(rng.multinomial(20_000, shares)):
            quality = Quality(labelled=int(total), correct=int(rng.binomial(total, 0.9)))
            taken = dict(enumerate(rng.multinomial(total, buckets).tolist()))
            windows[f"v{number}"] = Window(total=int(total), histogram=taken, quality=quality)
        winners += named(windows, metric).winner is not None
    assert winners / 2000 <= ALPHA
    assert versions > 2 or winners


def units_of_two_versions(rng: np.random.Generator, share: float, rates: tuple[float, float], *, first_only: bool) -> dict[str, Window]:
    """2,000 units with 20 requests each, of which such a part errs half the time, on the one version and on the other."""
    mine = rng.random(2000) < share
    wrong = rng.binomial(20, 0.5, 2000) * (rng.random(2000) < np.where(mine, *rates))
    windows = {}
    for name, part in (("a", mine), ("b", ~mine)):
        again = int(np.maximum(wrong[part] - 1, 0).sum()) if first_only else 0
        windows[name] = Window(total=20 * int(part.sum()), errors=int(wrong[part].sum()), repeated_errors=again)
    return windows


@pytest.mark.simulation
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_of_units_that_err_by_themselves_the_first_error_counts(share: float) -> None:
    """What the reference says: counted one by one, their errors name a winner where there is none."""
    rng = np.random.default_rng(5)
    drawn = [units_of_two_versions(rng, share, (0.05, 0.05), first_only=first) for _ in range(2000) for first in (True, False)]
    winners = [named(windows, "error_rate", share, 1 - share).winner is not None for windows in drawn]
    assert 0 < sum(winners[::2]) / 2000 <= ALPHA
    assert sum(winners[1::2]) / 2000 > 0.3


def test_a_unit_that_asks_without_end_and_never_fails_makes_nobody_the_best() -> None:
    """A probe: beside 2,000 units with 5 requests each it has most of the requests of its version."""
    rng = np.random.default_rng(8)
    winners = 0
    for _ in range(1000):
        mine = rng.random(2000) < 0.5
        wrong = rng.binomial(5, 0.002, 2000)
        windows = errors(a=(int(wrong[mine].sum()), 20_000 + 5 * int(mine.sum())), b=(int(wrong[~mine].sum()), 5 * int((~mine).sum())))
        winners += named(windows, "error_rate").winner is not None
    assert winners / 1000 <= ALPHA


@pytest.mark.parametrize("metric", ["error_rate", "p95_latency"])
def test_once_all_units_have_failed_nobody_takes_all_that_fails_more_often(metric: str) -> None:
    quick, slow = histogram_of([0.01] * 1000), histogram_of([0.01] * 940 + [0.5] * 60)
    windows = {
        "a": Window(total=1000, errors=600, repeated_errors=590, histogram=quick),
        "b": Window(total=1000, errors=60, repeated_errors=30, histogram=slow),
    }
    found = named(windows, metric)
    assert (found.winner, found.reason.endswith("has more errors than b")) == (None, True)


def test_versions_without_a_share_win_nothing_and_stop_nothing() -> None:
    windows = errors(a=(100, 1000), b=(0, 0), c=(0, 0))
    assert named(windows, "error_rate", 1.0, 0.0, 0.0).winner is None


def test_of_units_the_better_version_is_still_found() -> None:
    rng = np.random.default_rng(6)
    drawn = [units_of_two_versions(rng, 0.5, (0.02, 0.05), first_only=True) for _ in range(300)]
    winners = [named(windows, "error_rate").winner for windows in drawn]
    assert winners.count("a") > 250
    assert "b" not in winners


def test_the_p_value_of_first_errors_is_exact() -> None:
    windows = {"a": Window(total=500, errors=30, repeated_errors=26), "b": Window(total=400, errors=25, repeated_errors=10)}
    found = named(windows, "error_rate", 0.4, 0.2).metrics["p_value"]
    assert found == pytest.approx(binom.cdf(4, 19, 2 / 3), rel=1e-9)
    assert named(errors(a=(4, 500), b=(15, 400)), "error_rate", 0.4, 0.2).metrics["p_value"] == pytest.approx(found)
    assert named(windows, "error_rate", 0.0, 1.0).metrics["p_value"] == 1
    none = {name: evolve(window, errors=window.repeated_errors) for name, window in windows.items()}
    assert named(none, "error_rate").metrics["p_value"] == 1
    assert named({**windows, "a": evolve(windows["a"], errors=26)}, "error_rate").metrics["p_value"] == pytest.approx(0.5**15)


@pytest.mark.simulation
def test_rows_that_are_wrong_together_are_more_than_the_level_allows() -> None:
    """What the reference says of 200 requests of 25 rows each, whose accuracy is 90 % with a standard deviation of 10 % between them."""
    rng = np.random.default_rng(5)
    winners = 0
    for _ in range(2000):
        mine = rng.random(200) < 0.5
        right = rng.binomial(25, rng.normal(0.9, 0.1, 200).clip(0, 1))
        windows = {
            name: Window(quality=Quality(labelled=25 * int(part.sum()), correct=int(right[part].sum())))
            for name, part in (("a", mine), ("b", ~mine))
        }
        winners += named(windows, "live.accuracy").winner is not None
    assert winners / 2000 == pytest.approx(0.24, abs=0.03)


@pytest.mark.simulation
def test_the_wrong_one_is_named_seldom_and_the_right_one_often() -> None:
    rng = np.random.default_rng(11)
    winners = []
    for _ in range(500):
        counts = {name: (int(rng.binomial(5000, rate)), 5000) for name, rate in (("good", 0.01), ("bad", 0.02), ("same", 0.02))}
        winners.append(named(errors(**counts), "error_rate").winner)
    assert winners.count("good") > 450
    assert winners.count("bad") + winners.count("same") <= 500 * ALPHA


def test_a_quantile_and_the_accuracy_decide_as_well() -> None:
    quick = Window(histogram=histogram_of([0.1] * 900 + [0.3] * 50 + [0.5] * 50), quality=Quality(labelled=500, correct=450))
    slow = Window(histogram=histogram_of([0.1] * 850 + [0.3] * 130 + [0.5] * 20), quality=Quality(labelled=500, correct=400))

    assert named({"slow": slow, "quick": quick}, "p95_latency").winner == "slow"
    assert named({"slow": slow, "quick": quick}, "p50_latency").winner == "quick"
    assert named({"slow": slow, "quick": quick}, "live.accuracy").winner == "quick"
    assert named({"slow": Window(), "quick": quick}, "live.accuracy").winner is None
    assert named({"slow": Window(), "quick": Window()}, "p99_latency").reason.startswith("the A/B test has ended: the shares are kept")


@pytest.mark.parametrize("metric", ["p50_latency", "p95_latency", "p99_latency"])
@pytest.mark.parametrize("failed", [5000, 200])
def test_a_version_that_fails_quickly_is_not_the_best(metric: str, failed: int) -> None:
    good = Window(total=5000, histogram=histogram_of([0.01 + 4e-6 * place for place in range(5000)]))
    quick = Window(total=5000, histogram=histogram_of([0.001 + 4e-7 * place for place in range(5000)]))
    bad = evolve(quick, errors=failed)

    found = named({"good": good, "bad": bad}, metric)
    assert (found.winner, "since bad, whose " + metric in found.reason) == (None, True)
    assert found.reason.startswith("the A/B test has ended: the shares are kept, since bad")
    assert found.reason.endswith("has more errors than good")
    assert named({"good": good, "other": good, "bad": bad}, metric).winner is None
    assert named({"good": good, "quick": evolve(quick, errors=2)}, metric).winner == "quick"  # by chance, as far as anybody knows


def test_a_version_that_fails_more_often_is_not_the_best_by_its_accuracy() -> None:
    right = Window(total=5000, errors=1000, quality=Quality(labelled=4000, correct=4000))
    wrong = Window(total=5000, errors=0, quality=Quality(labelled=5000, correct=4000))
    assert named({"right": right, "wrong": wrong}, "live.accuracy").winner is None
    assert named({"right": evolve(right, errors=0), "wrong": wrong}, "live.accuracy").winner == "right"


# --- at an endpoint


class Uncounting(MemoryDeployer):
    """A deployer whose requests monitoring counts."""

    contract = 1
    capabilities = frozenset({"in-process"})


def split(world: World, **options: Any) -> Any:
    world.deployment.deploy_model("delays", "3.0.0", "production")
    return world.deployment.set_traffic("delays", "production", SHARES, until=WEEK, **options)


def keep_outcomes(world: World, truth: GroundTruthSettings | None) -> None:
    world.settings = evolve(world.settings, monitoring=evolve(world.settings.monitoring, ground_truth=truth))
    world.stack = world.compose("acme")
    world.deployment = ModelDeployment(stack=world.stack)


def live(world: World) -> Any:
    return world.deployment.status("delays", "production").live


@pytest.mark.parametrize("then", ["hold", "2.0.0"])
def test_it_ends_as_was_named_once(world: World, then: str) -> None:
    begun = split(world, then=then)
    world.clock.advance(WEEK.total_seconds() - 1)
    world.deployment.advance()
    assert live(world) == begun
    world.clock.advance(1)
    world.deployment.advance()
    ended = world.deployment.get(begun.deployment_id)

    assert ended.test.ended == world.clock.now() == ended.test.ends
    if then == "hold":
        assert (live(world).number, ended.reason) == (begun.number, "the A/B test has ended: the shares are kept, as was named")
    else:
        assert (live(world).version, ended.status, set(world.ask(20))) == ("2.0.0", S.DRAINING, {"2.0.0"})
        assert live(world).reason == f"{begun.deployment_id} ended: 2.0.0 takes all, as was named"
    count = len(world.deployment.history("delays", "production"))
    world.clock.advance(1)
    assert world.deployment.advance() == ()
    assert len(world.deployment.history("delays", "production")) == count


def test_the_best_takes_all_and_going_back_returns_to_the_test(world: World) -> None:
    world.register("4.0.0", "predict")
    world.deployment.deploy_model("delays", "1.0.0", "production")
    begun = world.deployment.set_traffic("delays", "production", {"1.0.0": 0.5, "4.0.0": 0.5}, until=WEEK, then="best")
    for _ in range(40):
        try:
            world.ask()
        except DeploymentError:
            continue
    seen = world.deployment.compare(begun.deployment_id)
    assert (seen.kind, {one.version: one.error_rate for one in seen.figures}) == ("test", {"1.0.0": 0.0, "4.0.0": 1.0})
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()

    assert live(world).version == "1.0.0"
    assert "1.0.0 takes all: its error_rate is the best (p-value " in live(world).reason
    world.deployment.rollback_deployment(live(world).deployment_id)
    world.deployment.advance()
    assert live(world).number == begun.number


def test_without_proof_the_shares_are_kept(world: World) -> None:
    begun = split(world, then="best")
    world.ask(50)
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    assert live(world).number == begun.number
    assert live(world).reason.startswith("the A/B test has ended: the shares are kept, since no error_rate is proved to be the best")


def test_what_comes_after_its_end_decides_nothing(world: World) -> None:
    world.deployers["production"] = Uncounting()
    begun = split(world, then="best", metric="p95_latency")
    at = begun.test.started
    for sequence, (version, after, seconds) in enumerate(
        [("1.0.0", 60, 0.1), ("2.0.0", 60, 0.1), ("1.0.0", 2 * WEEK.total_seconds(), 9.0), ("2.0.0", 2 * WEEK.total_seconds(), 0.1)], 1
    ):
        end = at + timedelta(seconds=after)
        series = SeriesKey("acme", "production", "delays", version)
        told: dict[str, Any] = {"latency_sum": seconds * 500, "histogram": histogram_of([seconds] * 500)}
        world.sink.write([evolve(Segment(series, end - timedelta(seconds=1), end, "server", sequence, begun.revision, 500), **told)])
    world.clock.advance(3 * WEEK.total_seconds())
    world.deployment.advance()
    assert live(world).number == begun.number


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (None, "metric: no outcomes are kept - set monitoring.ground_truth.rate, or name another metric"),
        (GroundTruthSettings(0.0), "metric: no outcomes are kept - set monitoring.ground_truth.rate, or name another metric"),
        (GroundTruthSettings(0.1, task="regression"), "metric: monitoring.ground_truth.task is regression, and numbers have no accuracy"),
    ],
)
def test_the_accuracy_decides_nothing_where_no_outcome_is_known(world: World, truth: GroundTruthSettings | None, said: str) -> None:
    world.deployers["production"] = Uncounting()
    world.deployment.deploy_model("delays", "3.0.0", "production")
    keep_outcomes(world, truth)
    with pytest.raises(DeploymentError) as raised:
        world.deployment.set_traffic("delays", "production", SHARES, until=WEEK, then="best", metric="live.accuracy")
    assert raised.value.message.startswith(said)
    assert live(world).version == "3.0.0"


@pytest.mark.parametrize(("after", "winner"), [(-4, None), (-0.5, None), (4, "2.0.0"), (604_799, "2.0.0"), (604_800, None)])
def test_the_accuracy_is_that_of_the_tests_own_predictions(world: World, after: float, winner: str | None) -> None:
    world.deployers["production"] = Uncounting()
    keep_outcomes(world, GroundTruthSettings(0.5))
    begun = split(world, then="best", metric="live.accuracy")
    at = begun.test.started + timedelta(seconds=after)
    for version, right in (("1.0.0", 50), ("2.0.0", 100)):
        series = SeriesKey("acme", "production", "delays", version)
        told = Segment(series, at, at + timedelta(seconds=1), version, 1, quality=Quality(labelled=100, correct=right))
        world.sink.write([told])
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    assert live(world).version == (winner or begun.version)
    assert (live(world).number == begun.number) == (winner is None)


@pytest.mark.parametrize(("until", "after", "decided"), [(10, 60, True), (10, 61, False), (1440, 4320, True), (1440, 4321, False)])
def test_counts_without_times_decide_only_soon_after_the_end(world: World, until: int, after: int, decided: bool) -> None:  # noqa: FBT001
    world.register("4.0.0", "predict")
    world.deployment.deploy_model("delays", "1.0.0", "production")
    weights, length = {"1.0.0": 0.5, "4.0.0": 0.5}, timedelta(minutes=until)
    begun = world.deployment.set_traffic("delays", "production", weights, until=length, then="best")
    for _ in range(40):
        with contextlib.suppress(DeploymentError):
            world.ask()
    world.clock.advance(length.total_seconds() + after)
    world.deployment.advance()
    assert (live(world).number != begun.number) == decided
    if not decided:
        reason = "the A/B test has ended: the shares are kept: counted too late, at 2024-05-0"
        assert world.deployment.get(begun.deployment_id).reason.startswith(reason)


def test_a_report_of_counts_without_times_ends_with_the_shares(world: World) -> None:
    begun = split(world)
    world.ask(10)
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    world.ask(5)
    seen = world.deployment.compare(begun.deployment_id)
    assert (sum(one.requests for one in seen.figures), seen.ended) == (15, None)
    world.clock.advance(60)
    over = world.clock.now()
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.ask(100)
    seen = world.deployment.compare(begun.deployment_id)
    assert (sum(one.requests for one in seen.figures), seen.ended) == (15, over)


def test_it_waits_for_what_is_on_its_way(world: World, plan: Any) -> None:
    split(world, then="2.0.0")
    canary = world.deployment.start_canary("delays", "3.0.0", "production", canary=evolve(plan, deadline=2 * WEEK))
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    assert world.deployment.get(canary.deployment_id).status is S.CANARY
    world.deployment.rollback_deployment(canary.deployment_id)
    world.deployment.advance()
    assert live(world).version == "2.0.0"


def test_the_winner_that_a_gate_vetoes_does_not_take_over_and_the_test_stays_over(world: World) -> None:
    begun = split(world, then="2.0.0")
    world.veto("not on a Friday")
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    world.deployment.advance()
    history = world.deployment.history("delays", "production")
    assert [(one.status, one.number) for one in history][-2:] == [(S.LIVE, begun.number), (S.FAILED, begun.number + 1)]


def test_an_end_is_moved_without_moving_a_unit(world: World) -> None:
    begun = split(world)
    moved = world.deployment.set_traffic("delays", "production", SHARES, until=2 * WEEK, then="1.0.0", key="longer")
    again = world.deployment.set_traffic("delays", "production", SHARES, until=3 * WEEK, key="longer")

    assert moved == again
    assert (moved.number, moved.revision, moved.test.then, moved.test.started) == (
        begun.number,
        begun.revision,
        "1.0.0",
        begun.test.started,
    )
    assert moved.test.ends == world.clock.now() + 2 * WEEK
    assert world.deployment.set_traffic("delays", "production", SHARES) == moved


def test_a_test_that_is_over_begins_anew_without_what_was_counted_before(world: World) -> None:
    world.register("4.0.0", "predict")
    world.deployment.deploy_model("delays", "1.0.0", "production")
    weights = {"1.0.0": 0.5, "4.0.0": 0.5}
    begun = world.deployment.set_traffic("delays", "production", weights, until=WEEK)
    for _ in range(40):
        with contextlib.suppress(DeploymentError):
            world.ask()
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    anew = [world.deployment.set_traffic("delays", "production", weights, until=WEEK, then="best", key="anew") for _ in range(2)]

    assert anew[0] == anew[1] == live(world)
    assert (live(world).number, live(world).revision, live(world).variants) == (begun.number, begun.revision + 1, begun.variants)
    assert (live(world).test.started, live(world).test.ended, live(world).test.verdict) == (world.clock.now(), None, "")
    seen = world.deployment.compare(begun.deployment_id)
    assert (sum(one.requests for one in seen.figures), seen.started, seen.ended) == (0, world.clock.now(), None)
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    assert (live(world).number, "p-value 1," in live(world).reason) == (begun.number, True)


@pytest.mark.parametrize("metric", ["error_rate", "p50_latency", "live.accuracy"])
def test_a_test_that_begins_anew_is_not_decided_by_the_one_before(world: World, metric: str) -> None:
    world.deployers["production"] = Uncounting()
    keep_outcomes(world, GroundTruthSettings(0.5))
    begun = split(world)
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    at = world.clock.now() - timedelta(seconds=1)  # within what clocks may be apart
    for version, worse in (("1.0.0", 1), ("2.0.0", 0)):
        series = SeriesKey("acme", "production", "delays", version)
        told: dict[str, Any] = {"errors": 300 * worse, "histogram": histogram_of([0.1 + worse] * 500)}
        quality = Quality(labelled=500, correct=500 - 300 * worse)
        known = Segment(series, at, at + timedelta(seconds=1), f"known {version}", 1, quality=quality)
        world.sink.write([evolve(Segment(series, at, at, "server" + version, 1, begun.revision, 500), **told), known])
    world.clock.advance(0.5)
    world.deployment.set_traffic("delays", "production", SHARES, until=WEEK, then="best", metric=metric)
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    assert (live(world).number, "p-value 1," in live(world).reason) == (begun.number, True)


def test_a_test_whose_server_was_shut_down_begins_anew(world: World) -> None:
    begun = split(world)
    world.clock.advance(WEEK.total_seconds())
    world.deployment.advance()
    world.deployment.shutdown("production")
    world.deployment.set_traffic("delays", "production", SHARES, until=WEEK)
    assert (live(world).number, live(world).test.ended, set(world.ask(20))) == (begun.number, None, {"1.0.0", "2.0.0"})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda it: it(SHARES, then="best"), "until: a test that ends somehow needs an end"),
        (lambda it: it(SHARES, until=-WEEK), r"until: 2024-04-24 12:00:00 UTC has passed"),
        (lambda it: it(SHARES, until=datetime(2030, 1, 1)), "until: "),  # noqa: DTZ001  what is refused
        (lambda it: it(SHARES, until=datetime(2020, 1, 1, tzinfo=UTC)), "has passed"),
        (lambda it: it({"1.0.0": 1.0}, until=WEEK), "one version is no test"),
        (
            lambda it: it(SHARES, until=WEEK, then="3.0.0"),
            r"then: version 3\.0\.0 is not in the test - name one of 1\.0\.0, 2\.0\.0, 'best'",
        ),
        (
            lambda it: it(SHARES, until=WEEK, then="best", metric="throughput"),
            "metric: 'throughput' decides no test - name one of error_rate",
        ),
        (lambda it: it(SHARES, until=WEEK, then="best", metric="p95_latency"), "only counts requests and errors - name error_rate"),
        (lambda it: it(SHARES, until=WEEK, metric="error_rate"), "metric: nothing is decided by it"),
        (lambda it: it(SHARES, until="tomorrow"), "until: "),
    ],
)
def test_an_end_that_cannot_be_is_refused_and_changes_nothing(world: World, call: Callable[[Any], Any], said: str) -> None:
    facade: ModelDeployment = world.deployment

    def split_by(weights: dict[str, float], **options: Any) -> Any:
        return facade.set_traffic("delays", "production", weights, **options)

    with pytest.raises(DeploymentError, match=said) as raised:
        call(split_by)
    assert "\n" not in raised.value.message
    assert facade.history("delays", "production") == ()
