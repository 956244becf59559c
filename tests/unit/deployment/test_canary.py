"""Verdicts and moves of a canary."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.config.settings import CanarySettings
from mlops_core.deployment.canary import Judgement, Look, Move, Verdict, check_plan, judge, pace, thresholds
from mlops_core.exceptions import DeploymentError
from mlops_core.records import Rollout, VariantCount, Window
from mlops_core.records.histogram import bucket, merge_counts

NOW = datetime(2024, 5, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def plan(**changes: Any) -> Rollout:
    begun = Rollout((0.1, 0.5, 1.0), MINUTE, 100, timedelta(hours=1), slo={"error_rate": 0.01})
    return evolve(begun, started=NOW, step_started=NOW, ends=NOW + timedelta(hours=1), **changes)


def look(total: int, errors: int = 0, *, after: timedelta = MINUTE, step: int | None = None, seconds: float = 0.01) -> Look:
    window = Window(total=total, errors=errors, latency_sum=total * seconds, histogram={bucket(seconds): total} if total else {})
    return Look(NOW + after, window, Window(), total if step is None else step)


def window_of(*counts: VariantCount) -> Window:
    return Window(
        total=sum(one.total for one in counts),
        errors=sum(one.errors for one in counts),
        repeated_errors=sum(one.repeated for one in counts),
        histogram=merge_counts(one.histogram for one in counts),
        counts=counts,
    )


def beside(total: int, errors: int, others: int, their_errors: int, repeated: int = 0, their_repeated: int = 0) -> Look:
    """Requests and errors of both sides under routing revision 2."""
    canary = window_of(VariantCount("2", 2, total, errors, repeated=repeated))
    return Look(NOW, canary, window_of(VariantCount("1", 2, others, their_errors, repeated=their_repeated)), total)


@pytest.mark.parametrize(
    ("total", "errors", "verdict"),
    [
        (0, 0, Verdict.CONTINUE),
        (99, 0, Verdict.CONTINUE),
        (200, 0, Verdict.CONTINUE),
        (330, 0, Verdict.PROMOTE),
        (1, 1, Verdict.CONTINUE),
        (2, 2, Verdict.ROLLBACK),
        (100, 5, Verdict.CONTINUE),
        (100, 8, Verdict.ROLLBACK),
        (1000, 10, Verdict.CONTINUE),
        (1000, 25, Verdict.ROLLBACK),
        (5000, 25, Verdict.PROMOTE),
    ],
)
def test_an_error_rate_is_judged_by_what_is_proved(total: int, errors: int, verdict: Verdict) -> None:
    assert judge(look(total, errors), plan()).verdict is verdict


def test_the_verdict_says_why() -> None:
    assert judge(look(100, 9), plan()).reason == "9 errors in 100 requests break the objective of error_rate 0.01"
    assert judge(look(40), plan()).reason == "40 of 100 requests seen"
    assert judge(look(100, 1), plan()).reason == "1 errors in 100 requests: too few requests to tell"
    assert judge(look(400), plan()).reason == "0 errors in 400 requests, within the objective"
    assert (
        judge(beside(300, 0, 2700, 40), plan(weights={2: 0.1})).reason == "0 errors in 300 requests, fewer than 1.5 times those beside it"
    )
    assert judge(beside(400, 20, 3600, 36), plan(weights={2: 0.1}, slo={})).reason == "20 errors in 400 requests, beside 36 in 3600"


def test_a_success_rate_is_an_error_rate_from_the_other_side() -> None:
    assert judge(look(100, 9), plan(slo={"success_rate": 0.99})).verdict is Verdict.ROLLBACK
    assert judge(look(400), plan(slo={"success_rate": 0.99})).verdict is Verdict.PROMOTE


def test_a_quantile_is_broken_by_too_many_slow_requests() -> None:
    slow = plan(slo={"error_rate": 0.05, "p95_latency": 0.05})
    assert judge(look(2, seconds=0.2), slow).verdict is Verdict.CONTINUE
    broken = judge(look(20, seconds=0.2), slow)
    assert (broken.verdict, broken.reason) == (
        Verdict.ROLLBACK,
        "20 of 20 requests took more than 0.05 s, which breaks the objective of p95_latency",
    )
    assert judge(look(100, seconds=0.02), slow).verdict is Verdict.PROMOTE
    near = Window(total=100, latency_sum=1, histogram={bucket(0.01): 93, bucket(0.2): 7})
    held = judge(Look(NOW, near), slow)
    assert (held.verdict, held.reason) == (Verdict.CONTINUE, "p95_latency of 0.1991 s is above the objective of 0.05 s")


def test_more_slow_requests_than_beside_it_are_a_reason_to_go_back() -> None:
    """Also where the objective holds; and none where both sides are slow together, but for the objective's sake."""

    def slow(canary: int, baseline: int) -> Look:
        parts = [(1000, canary, "2"), (9000, baseline, "1")]
        sides = [window_of(VariantCount(name, 2, n, 0, histogram={bucket(0.01): n - k, bucket(0.2): k})) for n, k, name in parts]
        return Look(NOW, sides[0], sides[1], 1000)

    bounded = plan(slo={"error_rate": 0.5, "p95_latency": 0.05}, weights={2: 0.1})
    found = judge(slow(30, 20), bounded)
    assert (found.verdict, found.reason) == (
        Verdict.ROLLBACK,
        "30 of 1000 requests took more than the 0.05 s of p95_latency, beside 20 of 9000",
    )
    assert found.evidence["evidence.worse.p95_latency"] >= thresholds(bounded)["evidence.worse.p95_latency"]
    assert judge(slow(30, 270), bounded).verdict is Verdict.PROMOTE
    assert judge(slow(200, 1800), bounded).reason.endswith("which breaks the objective of p95_latency")


def test_the_probability_is_shared_by_all_that_may_be_found() -> None:
    needed = thresholds(plan(slo={"error_rate": 0.05, "p95_latency": 0.1, "p99_latency": 1.0, "avg_latency": 1.0}))
    names = ("worse", "worse.p95_latency", "worse.p99_latency", "above.error_rate", "above.p95_latency", "above.p99_latency")
    charges = {f"evidence.{name}": math.log(6 / 0.01) for name in names}
    assert needed == pytest.approx({**charges, "evidence.no_worse": math.log(20), "evidence.within": math.log(20)})


def test_of_a_unit_the_first_error_speaks_against_the_canary() -> None:
    """Fifty errors of four units are four errors; but while all of them speak against it, it goes no further by itself."""
    units = judge(beside(1000, 50, 9000, 30, repeated=46), plan(weights={2: 0.1}))
    assert (units.verdict, units.held) == (Verdict.CONTINUE, True)
    assert units.reason == "50 errors (46 of units that had failed before) in 1000 requests: of few units, so it goes no further by itself"
    alone = judge(beside(1000, 50, 9000, 30), plan(weights={2: 0.1}))
    assert (alone.verdict, alone.held) == (Verdict.ROLLBACK, False)
    few = judge(beside(1000, 4, 9000, 30, repeated=2), plan(weights={2: 0.1}, slo={"error_rate": 0.05}))
    assert (few.verdict, few.held) == (Verdict.PROMOTE, False)


def test_where_errors_are_repeated_comparing_them_promotes_nobody() -> None:
    """Once most units have failed, first errors are alike; and all errors are those of a few."""
    plain = plan(weights={2: 0.1}, slo={})
    assert judge(beside(400, 0, 3600, 80), plain).verdict is Verdict.PROMOTE
    assert judge(beside(400, 0, 3600, 80, their_repeated=8), plain).verdict is Verdict.PROMOTE
    assert judge(beside(400, 0, 3600, 80, their_repeated=9), plain).verdict is Verdict.CONTINUE
    assert judge(beside(400, 0, 3600, 80, their_repeated=9), plan(weights={2: 0.1})).verdict is Verdict.PROMOTE, "within its objective"


@pytest.mark.parametrize("heavy", [0, 1, 3])
def test_a_worse_canary_of_units_is_promoted_by_no_comparison(heavy: int) -> None:
    """1,000 units with two errors each are expected, and some with 1,500; on the canary, which has a quarter, half as many more."""
    rng = np.random.default_rng(20240501)
    for _ in range(300):
        rate = np.concatenate([np.full(1000, 2.0), np.full(heavy, 1500.0)])
        mine = rng.random(len(rate)) < 0.25
        failed = rng.poisson(rate * np.where(mine, 1.5, 1.0))
        counts = [(20 * len(units), int(units.sum()), int(np.maximum(units - 1, 0).sum())) for units in (failed[mine], failed[~mine])]
        (total, errors, repeated), (others, theirs, their_repeated) = counts
        seen = beside(max(total, errors), errors, max(others, theirs), theirs, repeated, their_repeated)
        assert judge(seen, plan(weights={2: 0.25}, slo={})).verdict is not Verdict.PROMOTE


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("others", [0.0, 1.0])
def test_a_total_outage_ends_after_three_requests(weight: float, others: float) -> None:
    """What the reference says: whatever the share, also where both sides fail."""
    implied = plan(slo={"error_rate": 0.05}, implied=True, weights={2: weight})
    failed = [beside(count, count, beside_it := round(count / weight), round(beside_it * others)) for count in (2, 3)]
    assert [judge(seen, implied).verdict for seen in failed] == [Verdict.CONTINUE, Verdict.ROLLBACK]


def outage(answered: int, failed: int, first: int, *, beside_failed: int = 0) -> Look:
    """A step whose requests fail, of units that had all failed in the step before."""
    before = VariantCount("2", 2, answered, first)
    canary = window_of(before, VariantCount("2", 3, failed, failed, repeated=failed))
    baseline = window_of(VariantCount("1", 2, 9 * answered, 0), VariantCount("1", 3, failed, beside_failed, repeated=beside_failed))
    return Look(NOW + MINUTE, canary, baseline, failed)


def test_an_outage_of_units_that_failed_before_ends_a_canary_as_well() -> None:
    step = plan(steps=(0.1, 0.5, 0.6, 1.0), slo={"error_rate": 0.05}, implied=True, weights={2: 0.1, 3: 0.5}, step=1, step_revision=3)
    found = judge(outage(100, 20, 4), step)
    assert (found.verdict, found.reason) == (Verdict.ROLLBACK, "20 of 20 requests of this step failed")
    assert judge(outage(100, 19, 4), step).verdict is Verdict.CONTINUE
    both = judge(outage(100, 400, 4, beside_failed=400), step)
    assert (both.verdict, both.held) == (Verdict.CONTINUE, True), "a service that both use is down"
    assert moved(Verdict.CONTINUE, outage(100, 400, 4), steps=(0.1, 0.5, 0.6, 1.0), step=1) is Move.STEP
    assert pace(outage(100, 400, 4), step, both) is Move.WAIT
    late = evolve(outage(100, 400, 4), at=NOW + timedelta(hours=2))
    assert pace(late, evolve(step, at_deadline="promote"), both) is Move.PAUSE


def test_one_client_alone_holds_a_canary_where_it_is_and_takes_it_nowhere() -> None:
    """Even where nobody else has asked yet."""
    found = [judge(beside(count, count, 9 * count, 0, repeated=count - 1), plan(weights={2: 0.1})) for count in (20, 4000)]
    assert [(one.verdict, one.held) for one in found] == [(Verdict.CONTINUE, True)] * 2


def test_the_mean_latency_is_compared_once_there_are_enough_requests() -> None:
    slow = plan(slo={"error_rate": 0.05, "avg_latency": 0.1})
    assert judge(look(99, seconds=0.2), slow).verdict is Verdict.CONTINUE
    assert judge(look(100, seconds=0.2), slow).reason == "avg_latency of 0.2 s is above the objective of 0.1 s"
    assert judge(look(100, seconds=0.2), slow).verdict is Verdict.ROLLBACK


def test_the_projects_maximum_is_no_reason_to_promote() -> None:
    """Ten times the errors beside it may still be below what is unhealthy everywhere."""
    implied = plan(slo={"error_rate": 0.05}, implied=True, weights={2: 0.1})
    assert judge(look(400), implied).verdict is Verdict.CONTINUE
    assert judge(beside(400, 0, 3600, 36), implied).verdict is Verdict.PROMOTE
    assert judge(look(9, 9), implied).verdict is Verdict.ROLLBACK


def test_both_sides_may_fail_together() -> None:
    """Nothing is said of the canary by what its surroundings do."""
    assert judge(beside(100, 30, 900, 270), plan(weights={2: 0.1}, slo={"error_rate": 0.5})).verdict is not Verdict.ROLLBACK


def test_errors_are_weighed_by_the_share_of_their_revision() -> None:
    """Fifty of a hundred errors are many at a share of a tenth, and as expected at a half; of an unknown revision they tell nothing."""
    assert judge(beside(1000, 50, 9000, 50), plan(weights={2: 0.1}, slo={"error_rate": 1.0})).verdict is Verdict.ROLLBACK
    for weights in ({2: 0.5}, {}, {1: 0.1}):
        assert judge(beside(1000, 50, 9000, 50), plan(weights=weights, slo={"error_rate": 1.0})).verdict is not Verdict.ROLLBACK


def test_the_evidence_is_kept_as_finite_numbers() -> None:
    found = judge(look(10, 10), plan(slo={"error_rate": 0.0})).evidence
    assert found == {"evidence.worse": 0.0, "evidence.above.error_rate": 1000.0}


def test_a_serving_process_that_died_ends_it() -> None:
    assert judge(evolve(look(1000), crashes=1), plan()).reason == "1 serving process ended unexpectedly while it took requests"
    assert judge(evolve(look(0), crashes=3), plan()).reason == "3 serving processes ended unexpectedly while it took requests"
    assert judge(evolve(look(0), crashes=3), plan()).verdict is Verdict.ROLLBACK


@given(total=st.integers(0, 5000), errors=st.integers(0, 5000), bound=st.floats(0, 1))
def test_more_successes_never_turn_a_verdict_to_rollback(total: int, errors: int, bound: float) -> None:
    errors = min(errors, total)
    before = judge(look(total, errors), plan(slo={"error_rate": bound})).verdict
    after = judge(look(total + 500, errors), plan(slo={"error_rate": bound})).verdict
    assert after is not Verdict.ROLLBACK or before is Verdict.ROLLBACK


def moved(judged: Verdict, seen: Look, **changes: Any) -> Move:
    return pace(seen, plan(**changes), Judgement(judged, ""))


def test_a_step_ends_after_its_time_and_its_requests() -> None:
    assert moved(Verdict.CONTINUE, look(100)) is Move.STEP
    assert moved(Verdict.CONTINUE, look(100, after=MINUTE / 2)) is Move.WAIT
    assert moved(Verdict.CONTINUE, look(500, step=99)) is Move.WAIT


def test_the_last_step_is_entered_only_on_promote() -> None:
    assert moved(Verdict.CONTINUE, look(100), step=1) is Move.WAIT
    assert moved(Verdict.PROMOTE, look(100), step=1) is Move.PROMOTE
    assert moved(Verdict.PROMOTE, look(500, step=99), step=1) is Move.WAIT


def test_a_rollback_waits_for_nothing() -> None:
    assert moved(Verdict.ROLLBACK, look(1, 1, after=timedelta(0))) is Move.ROLLBACK


@pytest.mark.parametrize(("at_deadline", "move"), [("hold", Move.PAUSE), ("promote", Move.PROMOTE), ("rollback", Move.ROLLBACK)])
def test_the_deadline_does_what_it_is_told(at_deadline: Literal["hold", "promote", "rollback"], move: Move) -> None:
    late = look(0, after=timedelta(hours=1))
    assert moved(Verdict.CONTINUE, late, at_deadline=at_deadline) is move


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": ()}, "canary.steps: []"),
        ({"steps": (0.5, 0.1, 1.0)}, "canary.steps: [0.5, 0.1, 1.0]"),
        ({"steps": (0.0, 1.0)}, "canary.steps: [0.0, 1.0]"),
        ({"steps": (0.5,)}, "canary.steps: [0.5]"),
        ({"step_time": -MINUTE}, "canary: step_time and deadline"),
        ({"deadline": timedelta(0)}, "canary: step_time and deadline"),
        ({"min_requests": 0}, "canary.min_requests: 0"),
        ({"alpha": 0}, "canary.alpha: 0 is no probability"),
        ({"margin": 1.0}, "canary.margin: 1 rules nothing out"),
        ({"slo": {"error_rte": 0.01}}, "canary.slo: unknown metric 'error_rte' - known are error_rate, "),
        ({"slo": {"error_rate": 5}}, "canary.slo.error_rate: 5 is no fraction - 1 % is written 0.01"),
        ({"slo": {"p95_latency": "fast"}}, "canary.slo.p95_latency: 'fast' is no bound"),
        ({"slo": {"error_rate": True}}, "canary.slo.error_rate: True is no bound"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DeploymentError) as raised:
        check_plan(evolve(CanarySettings(), **changes))
    assert raised.value.message.startswith(said)


def test_the_default_plan_can_be_followed() -> None:
    check_plan(CanarySettings())
