"""Checks on a schedule: which are due, what they find, and how often they are wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attrs import evolve

from mlops_core.artifacts import Artifacts
from mlops_core.config.settings import DriftSettings, ScheduleSettings
from mlops_core.drift import DriftDetector, DriftSchedule, Reference
from mlops_core.drift import stored as stored_module
from mlops_core.exceptions import DriftDetectionError, VersioningError
from mlops_core.monitoring.sampling import Sampling
from mlops_core.records import DriftChecked, ModelVersion, Segment, SeriesKey
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.stack import make_stack
from mlops_drift_ks import KolmogorovSmirnov

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.stack import Stack

MONTHLY = ScheduleSettings(false_alarms="1 per 30d")
DAY = timedelta(days=1)


class Shop:
    """A project whose models answer, at a time that is moved by hand; it begins at noon of a day."""

    def __init__(self, folder: Path, schedule: ScheduleSettings | None = MONTHLY) -> None:
        self.clock = FakeClock(datetime(2024, 3, 5, 12, tzinfo=UTC))
        self.sink, self.folder = MemorySink(), folder
        registry = MemoryRegistry(clock=self.clock)
        made = make_stack(folder, clock=self.clock, registry=registry, sinks={"memory": self.sink}, drift_tests={"ks": KolmogorovSmirnov()})
        self.stack = evolve(made, settings=evolve(made.settings, drift=DriftSettings(schedule=schedule)))
        self.schedule = DriftSchedule(self.stack)
        self.written = 0

    def register(self, model: str, version: str, values: Any) -> None:
        path = self.folder / f"{model}-{version}.npz"
        Reference.fit({"x": values}, stack=self.stack).save(path)
        artifacts = {"reference": Artifacts(self.stack).save_file(path, "reference")}
        digest = f"{model}{version}"
        self.stack.parts.registry.add_version(
            ModelVersion(self.stack.tenant, model, version, digest, version, (), self.clock.now(), artifacts=artifacts)
        )

    def answer(self, model: str, version: str, values: Any, *, at: datetime | None = None, environment: str = "production") -> None:
        self.written += 1
        start = at or self.clock.now()
        sample = tuple({"prediction_id": f"p{number}", "features": {"x": float(value)}} for number, value in enumerate(values))
        series = SeriesKey(self.stack.tenant, environment, model, version)
        self.sink.write([Segment(series, start, start + timedelta(seconds=1), "w", self.written, total=max(1, len(sample)), sample=sample)])

    def round(self) -> dict[tuple[str, str, str], bool | str]:
        """What the control loop does: everything that is due, verdict or reason by model, environment and version."""
        told: dict[tuple[str, str, str], bool | str] = {}
        for due in self.schedule.due():
            found = self.schedule.check(due)
            told.update({(due.model, due.environment, one.version): one.drift.drift_detected if one.drift else one.reason for one in found})
            assert self.schedule.settle(due, found)
        return told


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


def test_a_slot_is_checked_once_a_minute_after_its_end(shop: Shop, rng: np.random.Generator) -> None:
    shop.register("m", "1", rng.normal(size=400))
    shop.answer("m", "1", rng.normal(size=200))
    shop.clock.advance(12 * 3600)  # midnight
    assert shop.schedule.due() == ()
    shop.clock.advance(60)
    (due,) = shop.schedule.due()
    assert (due.model, due.environment, due.start, due.end) == (
        "m",
        "production",
        datetime(2024, 3, 5, tzinfo=UTC),
        datetime(2024, 3, 6, tzinfo=UTC),
    )
    assert shop.round() == {("m", "production", "1"): False}
    assert shop.schedule.due() == ()
    shop.answer("m", "1", rng.normal(1, size=200))
    shop.clock.advance(24 * 3600)
    assert shop.round() == {("m", "production", "1"): True}
    (last,) = shop.schedule.latest()
    assert (last.model, last.environment, last.end) == ("m", "production", datetime(2024, 3, 7, tzinfo=UTC))
    assert last.level == pytest.approx(1 / 30)
    assert last.versions["1"] == {
        "drift_detected": True,
        "p_value": pytest.approx(0, abs=1e-6),
        "threshold": pytest.approx(1 / 30),
        "columns": ["x"],
        "rows": 200,
    }


def test_without_a_schedule_nothing_is_due(tmp_path: Path, rng: np.random.Generator) -> None:
    shop = Shop(tmp_path, schedule=None)
    shop.answer("m", "1", rng.normal(size=200))
    shop.clock.advance(48 * 3600)
    assert shop.schedule.due() == ()
    assert list(shop.schedule.latest()) == []


def test_versions_side_by_side_share_the_level(shop: Shop, rng: np.random.Generator) -> None:
    for version in ("1", "2"):
        shop.register("m", version, rng.normal(size=400))
        shop.answer("m", version, rng.normal(size=100))
    shop.answer("m", "1", rng.normal(3, size=100), environment="staging")
    shop.answer("m", "unversioned", rng.normal(size=100))
    shop.clock.advance(24 * 3600)
    assert shop.round() == {("m", "production", "1"): False, ("m", "production", "2"): False, ("m", "staging", "1"): True}
    events = [event for event in shop.stack.parts.events if isinstance(event, DriftChecked)]  # type: ignore[attr-defined]  # a test stack keeps them
    assert [event.drift_detected for event in events] == [False, False, True]
    levels = {last.environment: [found["threshold"] for found in last.versions.values()] for last in shop.schedule.latest()}
    assert levels == {"production": [pytest.approx(1 / 60)] * 2, "staging": [pytest.approx(1 / 30)]}


def test_a_version_that_cannot_be_checked_says_why_and_stops_no_other(shop: Shop, rng: np.random.Generator) -> None:
    shop.register("m", "1", rng.normal(size=400))
    for version in ("1", "2"):
        shop.answer("m", version, rng.normal(size=100))
    shop.clock.advance(24 * 3600)
    told = shop.round()
    assert told.pop(("m", "production", "1")) is False
    assert told == {("m", "production", "2"): "drift: there is no version '2' of model 'm' - register it first"}
    (last,) = shop.schedule.latest()
    assert last.versions["2"] == {"reason": "drift: there is no version '2' of model 'm' - register it first"}


def test_predictions_that_were_not_sampled_are_told_once(shop: Shop) -> None:
    shop.answer("m", "1", [])
    shop.clock.advance(24 * 3600)
    assert shop.round() == {}
    (last,) = shop.schedule.latest()
    assert (last.versions, last.reason) == ({}, "no prediction was sampled")
    assert shop.schedule.due() == ()


def test_a_model_that_nobody_asks_any_more_leaves_no_entries(shop: Shop, rng: np.random.Generator) -> None:
    shop.register("m", "1", rng.normal(size=400))
    shop.answer("m", "1", rng.normal(size=100))
    for _ in range(3):
        shop.clock.advance(24 * 3600)
        shop.round()
    assert len(list(shop.stack.parts.registry.read(shop.stack.tenant, "drift/m/production"))) == 1


def test_an_outage_is_no_verdict(shop: Shop, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.register("m", "1", rng.normal(size=400))
    shop.answer("m", "1", rng.normal(size=100))
    shop.clock.advance(24 * 3600)
    (due,) = shop.schedule.due()
    with monkeypatch.context() as patch:

        def away(*_: Any) -> object:
            raise VersioningError("registry: nobody answers")

        patch.setattr(stored_module, "registered", away)
        with pytest.raises(DriftDetectionError, match="registry: nobody answers"):
            shop.schedule.check(due)
    assert shop.schedule.due() == (due,)
    assert shop.round() == {("m", "production", "1"): False}


def test_a_reason_that_is_kept_shows_no_value(shop: Shop, rng: np.random.Generator) -> None:
    shop.register("m", "1", rng.normal(size=400))
    shop.written += 1
    start = shop.clock.now()
    rows = tuple({"prediction_id": f"p{number}", "features": {"x": f"jane.doe{number % 3}@example.org"}} for number in range(50))
    series = SeriesKey(shop.stack.tenant, "production", "m", "1")
    shop.sink.write([Segment(series, start, start + timedelta(seconds=1), "w", shop.written, total=50, sample=rows)])
    shop.clock.advance(24 * 3600)
    (reason,) = shop.round().values()
    assert "holds values of kind category, where the reference's are of kind number" in str(reason)
    assert "jane" not in str(list(shop.schedule.latest()))


def test_a_slot_of_a_clock_that_went_wrong_is_none(shop: Shop, rng: np.random.Generator) -> None:
    shop.register("m", "1", rng.normal(size=400))
    shop.answer("m", "1", rng.normal(size=100))
    shop.clock.advance(24 * 3600)
    (due,) = shop.schedule.due()
    ahead = evolve(due, end=due.end + timedelta(days=3650))
    assert shop.schedule.settle(ahead, ())
    assert shop.schedule.due() == (due,)
    assert shop.round() == {("m", "production", "1"): False}
    assert shop.schedule.due() == ()


def test_a_version_whose_reference_is_damaged_stops_no_other(shop: Shop, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1", "2"):
        shop.register("m", version, rng.normal(size=400))
        shop.answer("m", version, rng.normal(size=100))
    shop.clock.advance(24 * 3600)
    found = stored_module.registered  # a registry that fails for one of them

    def damaged(stack: Stack, model: str, version: str | None) -> ModelVersion:
        if version == "1":
            raise VersioningError("registry: it is damaged")
        return found(stack, model, version)

    monkeypatch.setattr(stored_module, "registered", damaged)
    assert shop.round() == {("m", "production", "1"): "registry: it is damaged", ("m", "production", "2"): False}


def test_times_and_free_text_are_compared_as_they_are_sampled(shop: Shop, rng: np.random.Generator) -> None:
    """As the sampler keeps them: times as text, free text as its length."""
    path = shop.folder / "r.npz"
    moments = np.datetime64("2024-01-01", "s") + rng.integers(0, 86_400 * 30, 400)
    lengths = rng.integers(500, 3000, 400)
    data = {"when": moments, "note": ["x" * int(length) for length in lengths], "took": rng.integers(1, 50, 400).astype("m8[s]")}
    Reference.fit(data, schema={"note": "text"}, stack=shop.stack).save(path)
    artifacts = {"reference": Artifacts(shop.stack).save_file(path, "reference")}
    shop.stack.parts.registry.add_version(ModelVersion(shop.stack.tenant, "m", "1", "d", "1", (), shop.clock.now(), artifacts=artifacts))
    sampling = Sampling(frozenset({"*"}), 1.0, frozenset({"note"}))
    rows = tuple({"prediction_id": f"p{row}", "features": sampling.kept(data, row)} for row in range(0, 400, 2))
    series = SeriesKey(shop.stack.tenant, "production", "m", "1")
    start = shop.clock.now()
    shop.sink.write([Segment(series, start, start + timedelta(seconds=1), "w", 1, total=200, sample=rows)])
    shop.clock.advance(24 * 3600)
    assert shop.round() == {("m", "production", "1"): False}


def test_two_loops_check_a_slot_once(shop: Shop, rng: np.random.Generator) -> None:
    shop.register("m", "1", rng.normal(size=400))
    shop.answer("m", "1", rng.normal(size=100))
    shop.clock.advance(24 * 3600)
    (due,) = shop.schedule.due()
    found = shop.schedule.check(due)
    assert DriftSchedule(shop.stack).settle(due, found)
    assert not shop.schedule.settle(due, found)
    assert len(list(shop.stack.parts.registry.read(shop.stack.tenant, "drift/m/production"))) == 1


def test_missed_slots_are_not_made_up_for_and_a_window_may_be_longer(tmp_path: Path, rng: np.random.Generator) -> None:
    shop = Shop(tmp_path, ScheduleSettings(every=timedelta(hours=6), window=7 * DAY))
    assert shop.schedule.due() == ()
    shop.answer("m", "1", rng.normal(size=100))
    shop.clock.advance(5 * 24 * 3600)
    (due,) = shop.schedule.due()
    assert (due.end - due.start, due.end, due.level) == (7 * DAY, datetime(2024, 3, 10, 6, tzinfo=UTC), 0.05)


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({"false_alarms": "1 per 30d"}, 1 / 30),
        ({"false_alarms": "2.5 per 1y", "every": timedelta(hours=1)}, 2.5 / 8760),
        ({"false_alarms": "1 per 2d", "window": 7 * DAY}, 0.5),
        ({}, 0.01),
    ],
)
def test_the_level_of_each_check(settings: dict[str, Any], level: float) -> None:
    assert ScheduleSettings(**settings).level(0.01) == pytest.approx(level)


def test_other_tenants_have_checks_of_their_own(shop: Shop, rng: np.random.Generator) -> None:
    shop.answer("m", "1", rng.normal(size=100))
    shop.clock.advance(24 * 3600)
    other = DriftSchedule(shop.stack.for_tenant("umbra"))
    assert other.due() == ()
    shop.round()
    assert list(other.latest()) == []


def test_false_alarms_come_as_seldom_as_they_may(tmp_path: Path) -> None:
    """At one per ten days, 60 models without a change raise at most 600 / 10 in 10 days, within three standard errors; and some."""
    rng = np.random.default_rng(2024)
    shop = Shop(tmp_path, ScheduleSettings(false_alarms="1 per 10d"))
    models = [f"m{number}" for number in range(60)]
    for model in models:
        shop.register(model, "1", rng.normal(size=500))
    alarms = np.zeros(len(models))
    for _ in range(10):
        for model in models:
            shop.answer(model, "1", rng.normal(size=100))
        shop.clock.advance(24 * 3600)
        alarms += [float(bool(found)) for found in shop.round().values()]
    # Checks of a model share its reference, so the models are what is independent.
    error = alarms.std(ddof=1) / np.sqrt(len(models))
    assert 0.3 < alarms.mean() <= 1 + 3 * error


def test_the_detector_answers_the_same(shop: Shop, rng: np.random.Generator) -> None:
    shop.register("m", "1", rng.normal(size=400))
    shop.answer("m", "1", rng.normal(0.3, size=100))
    shop.clock.advance(24 * 3600)
    (due,) = shop.schedule.due()
    (found,) = shop.schedule.check(due)
    direct = DriftDetector(stack=shop.stack).check_live("m", DAY, environment="production", end=due.end, threshold=due.level)
    assert found.drift == direct


def test_sinks_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    stack: Stack = make_stack(tmp_path)
    stack = evolve(stack, settings=evolve(stack.settings, drift=DriftSettings(schedule=MONTHLY)))
    with pytest.raises(DriftDetectionError, match="none of the sinks can be read"):
        DriftSchedule(stack).due()
