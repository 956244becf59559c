"""References of model versions, and sampled predictions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attrs import evolve

from mlops_core.artifacts import Artifacts
from mlops_core.config.settings import SignSettings
from mlops_core.drift import DriftDetector, Reference
from mlops_core.drift.stored import live_rows, stored_reference
from mlops_core.exceptions import DriftDetectionError
from mlops_core.journal import Journal
from mlops_core.records import ArtifactRef, DriftChecked, ModelVersion, NewEntry, Segment, SeriesKey
from mlops_core.stack.keys import write_pair
from mlops_core.testing.stack import make_stack

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.stack import Stack
    from mlops_core.testing.memory_registry import MemoryRegistry
    from mlops_core.testing.memory_sink import MemorySink

NOW = datetime(2024, 1, 1, tzinfo=UTC)
RNG = np.random.default_rng(6)
DATA = {"delay": RNG.normal(size=400), "carrier": RNG.choice(["AA", "UA"], 400)}


def register(stack: Stack, version: str, artifacts: dict[str, ArtifactRef], at: datetime = NOW) -> None:
    stack.parts.registry.add_version(ModelVersion(stack.tenant, "flights", version, version, version, (), at, artifacts=artifacts))


@pytest.fixture
def with_versions(stack: Stack, tmp_path: Path) -> Stack:
    """Version 1 with a reference, version 2 without."""
    Reference.fit(DATA, stack=stack).save(tmp_path / "reference.npz")
    register(stack, "1", {"reference": Artifacts(stack).save_file(tmp_path / "reference.npz", "reference")})
    register(stack, "2", {}, NOW + timedelta(days=1))
    return stack


def rows(count: int, shift: float = 0.0) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"prediction_id": f"p{i}", "features": {"delay": float(RNG.normal(shift)), "carrier": "AA" if i % 2 else "UA"}}
        for i in range(count)
    )


def segment(sequence: int, version: str, sample: tuple[Any, ...] = (), *, environment: str = "production", tenant: str = "acme") -> Segment:
    start = NOW - timedelta(hours=2 + sequence)
    series = SeriesKey(tenant, environment, "flights", version)
    return Segment(series, start, start + timedelta(minutes=1), "w", sequence, total=max(1, len(sample)), sample=sample)


def test_current_data_against_a_versions_reference(with_versions: Stack) -> None:
    detector = DriftDetector(stack=with_versions)
    same = detector.check_version("flights", "1", {"delay": RNG.normal(size=300), "carrier": RNG.choice(["AA", "UA"], 300)})
    moved = detector.check_version("flights", "1", {"delay": RNG.normal(1, size=300), "carrier": ["AA"] * 300}, columns=["delay"])
    assert (same.drift_detected, same.model, same.version) == (False, "flights", "1")
    assert moved.drifted_columns == ("delay",)
    event = with_versions.parts.events[-1]  # type: ignore[attr-defined]  # the parts of a test stack keep them
    assert isinstance(event, DriftChecked)
    assert (event.kind, event.drift_detected, event.model) == ("data", True, "flights")
    assert event.detail == {"drifted_columns": ["delay"], "version": "1"}


def test_versions_by_alias_and_the_newest(with_versions: Stack) -> None:
    entry = NewEntry(at=NOW, kind="set", state={"version": "1"})
    Journal(with_versions.parts.registry, "acme", "aliases/flights/champion").update(lambda _: entry)
    assert stored_reference(with_versions, "flights", "@champion")[0] == "1"
    with pytest.raises(DriftDetectionError, match="version '2' of model 'flights' has no drift reference"):
        stored_reference(with_versions, "flights", None)


@pytest.mark.parametrize(
    ("model", "version", "told"),
    [
        ("flights", "3", "drift: there is no version '3' of model 'flights' - register it first"),
        ("flights", "@gone", "drift: there is no version '@gone' of model 'flights'"),
        ("flights", "@", "alias: '' is not a name"),
        ("flights", 1, "version: expected text, got int"),
        ("trains", None, "drift: there is no version of model 'trains' - register one first"),
        ("flights", "2", "drift: version '2' of model 'flights' has no drift reference - register versions with artifacts={'reference'"),
        ("../x", "1", "model: '../x' is not a name"),
    ],
)
def test_a_reference_that_is_not_there(with_versions: Stack, model: str, version: Any, told: str) -> None:
    with pytest.raises(DriftDetectionError) as found:
        DriftDetector(stack=with_versions).check_version(model, version, DATA)
    assert found.value.message.startswith(told)


def test_another_tenants_version_is_a_missing_one(with_versions: Stack) -> None:
    with pytest.raises(DriftDetectionError, match="there is no version '1'"):
        DriftDetector("other", stack=with_versions).check_version("flights", "1", DATA)


def test_a_damaged_reference_is_told(with_versions: Stack, store: MemoryRegistry) -> None:
    held = store.get_version("acme", "flights", "1")
    assert held is not None
    artifact = held.artifacts["reference"]
    register(with_versions, "9", {"reference": evolve(artifact, sha256="0" * 64)})
    with pytest.raises(DriftDetectionError, match=r"artifact reference: .* does not match its sha256"):
        stored_reference(with_versions, "flights", "9")


def test_sampled_predictions_against_the_reference_of_their_version(with_versions: Stack, sink: MemorySink) -> None:
    sink.write(
        [segment(1, "1", rows(150, 1.0)), segment(2, "1", rows(150, 1.0)), segment(3, "2"), segment(4, "1", rows(99), tenant="other")]
    )
    found = DriftDetector(stack=with_versions).check_live("flights", timedelta(hours=12))
    assert (found.version, found.current_rows, found.drifted_columns) == ("1", 300, ("delay",))
    assert found.of("carrier")[0].m == 300


def test_window_environment_and_version_narrow_the_sample(with_versions: Stack, sink: MemorySink) -> None:
    sink.write(
        [segment(1, "1", rows(10)), segment(30, "1", rows(20)), segment(2, "1", rows(5), environment="staging"), segment(3, "2", rows(7))]
    )

    def seen(window: timedelta = timedelta(days=1), **options: Any) -> tuple[str, int]:
        version, found = live_rows(with_versions, "flights", window, **{"environment": None, "version": None, "end": None, **options})
        return version, len(found)

    assert seen(version="1") == ("1", 15)
    assert seen(version="1", environment="production") == ("1", 10)
    assert seen(version="2") == ("2", 7)
    assert seen(timedelta(days=3), version="1") == ("1", 35)
    assert seen(version="1", end=NOW - timedelta(hours=20)) == ("1", 20)
    with pytest.raises(DriftDetectionError, match="model 'flights': versions 1, 2 answered - give version="):
        seen()


def test_without_a_sample_there_is_nothing_to_check(with_versions: Stack, sink: MemorySink) -> None:
    detector = DriftDetector(stack=with_versions)
    with pytest.raises(DriftDetectionError, match="model 'flights': no predictions in 1 day, 0:00:00 before 2024-01-01"):
        detector.check_live("flights")
    sink.write([segment(1, "1"), segment(2, "1", ({"prediction_id": "p"},))])
    with pytest.raises(DriftDetectionError, match=r"carry no sample - name columns in monitoring\.sample"):
        detector.check_live("flights")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"window": 3600}, "window: 3600 is no length of time - give one such as timedelta"),
        ({"window": timedelta(0)}, "window: datetime.timedelta.0. is no length of time"),
        ({"end": datetime(2024, 1, 1)}, "end: 2024-01-01T00:00:00 has no zone"),  # noqa: DTZ001  without a zone on purpose
    ],
)
def test_a_window_that_is_none(with_versions: Stack, options: dict[str, Any], told: str) -> None:
    with pytest.raises(DriftDetectionError, match=told):
        DriftDetector(stack=with_versions).check_live("flights", **options)


def test_sinks_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DriftDetectionError, match="none of the sinks can be read - add one that can"):
        DriftDetector(stack=make_stack(tmp_path)).check_live("flights")


def test_the_reference_of_a_version_that_is_not_signed_as_required_is_not_read(with_versions: Stack) -> None:
    with_versions.root.mkdir(exist_ok=True)
    write_pair(with_versions.root / "k")
    strict = evolve(with_versions, settings=evolve(with_versions.settings, sign=SignSettings(public=("${file:k.pub}",), require=True)))
    with pytest.raises(DriftDetectionError, match="flights: version 1 is not signed"):
        stored_reference(strict, "flights", "1")
